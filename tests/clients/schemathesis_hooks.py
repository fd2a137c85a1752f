"""What Schemathesis needs to know of fdfs: who answers which path, and the IDs of files that are there.

From the environment: FDFS_SERVER, who is tested, as openapi.yaml writes its address (http://127.0.0.1:8888 for a node);
FDFS_NODE, where files are uploaded; FDFS_ANSWERS, a file that gets the number of answers of each operation by status.
"""

import atexit
import collections
import itertools
import json
import os
import random
import re
from urllib.parse import unquote, urlsplit

import requests
import schemathesis

SERVER = os.environ["FDFS_SERVER"]
NODE = os.environ["FDFS_NODE"]
# The only storage; its address is its id.
STORAGE = urlsplit(NODE).hostname
# What is done to appender files only.
APPENDERS = {"changeFile", "truncateFile", "finishFile"}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
FILE_URL = ("group", "store_path", "high", "low", "name")

uploads = requests.Session()
numbers = itertools.count()
chance = random.Random(1)
codes = {}
answers = collections.defaultdict(collections.Counter)
# Requests whose path names what is there.
named = set()


@schemathesis.serializer("application/offset+octet-stream", "application/partial-upload")
def content_of_an_upload(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Leaves out what the other server answers."""
    codes.update(raw_schema["x-problem-codes"])
    everywhere = raw_schema.pop("servers")
    paths = raw_schema["paths"]
    for path, item in list(paths.items()):
        of_path = item.pop("servers", everywhere)
        for method in METHODS & item.keys():
            servers = item[method].pop("servers", of_path)
            if all(server["url"] != SERVER for server in servers):
                del item[method]
        if not METHODS & item.keys():
            del paths[path]
    operations = [item[method] for item in paths.values() for method in METHODS & item.keys()]
    for operation in operations:
        content = operation.get("requestBody", {}).get("content", {})
        # Of "*/*", Schemathesis takes forms for a kind like any other, and sends some that are none.
        if "*/*" in content:
            content["application/octet-stream"] = content.pop("*/*")
        # A document cannot say that one parameter counts only where another is not.
        given = operation.get("parameters", [])
        operation["parameters"] = [parameter for parameter in given if parameter.get("name") != "attname"]
    answers.update((operation["operationId"], collections.Counter()) for operation in operations)


def new_file(kind="normal"):
    """The ID of a file that nobody else uses."""
    number = next(numbers)
    answer = uploads.post(
        f"{NODE}/v1/files",
        params={"filename": f"{number}.txt", "kind": kind},
        data=f"file {number}\n".encode(),
        timeout=10,
    )
    answer.raise_for_status()
    return answer.json()["file_id"]


def new_upload():
    """The name of an upload of 11 bytes of which nothing has arrived."""
    answer = uploads.post(f"{NODE}/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "11"}, timeout=10)
    answer.raise_for_status()
    return answer.headers["Location"].rsplit("/", 1)[1]


def name_of(case):
    return case.operation.definition.raw["operationId"]


def is_wrong_on_purpose(case, place):
    """Whether a part of the request violates the document."""
    info = next((info for where, info in case.meta.components.items() if where.name == place), None)
    return info is not None and info.mode.name == "NEGATIVE"


def go_on(case, headers):
    """Lets half of the requests of tus be good: of the headers that say how, all but one choice in a thousand are refused."""
    if case.headers is None or is_wrong_on_purpose(case, "HEADER") or chance.random() < 0.5:
        return
    for name in ("Checksum", "Complete", "Concat", "Defer-Length", "Length", "Metadata"):
        case.headers.pop(f"Upload-{name}", None)
    case.headers.pop("X-HTTP-Method-Override", None)
    case.headers.update({"Tus-Resumable": "1.0.0"} | headers)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Names a file that is there, but for some requests: what is missing is worth asking for, too.

    Not where the name is wrong on purpose, nor in stateful tests, which take it from an earlier answer.
    """
    if case.meta is None or case.meta.phase.name.name == "STATEFUL" or chance.random() < 0.1:
        return
    if name_of(case).endswith("Files") and isinstance(case.body, list) and not is_wrong_on_purpose(case, "BODY"):
        case.body = [new_file() for _ in case.body[:5]]
    parameters = case.path_parameters or {}
    if is_wrong_on_purpose(case, "PATH"):
        return
    if name_of(case) == "createUpload":
        go_on(case, {"Upload-Length": "100000"})
    for part, there in {"group": "group1", "id": STORAGE}.items():
        if part in parameters:
            parameters[part] = there
            named.add(case.id)
    if "file_id" in parameters:
        file_id = new_file("appender" if name_of(case) in APPENDERS else "normal")
        parameters["file_id"] = file_id
        is_there = True
        if "/metadata/" in case.path:
            # A name that metadata cannot have is refused here as it will be there.
            is_there = uploads.put(f"{NODE}{case.formatted_path}", data=b"value", timeout=10).ok
        if is_there:
            named.add(case.id)
    elif "upload" in parameters:
        parameters["upload"] = new_upload()
        named.add(case.id)
        go_on(case, {"Upload-Offset": "0"})
    elif all(part in parameters for part in FILE_URL):
        parameters.update(zip(FILE_URL, new_file().split("/")))
        named.add(case.id)


@schemathesis.hook
def filter_query(context, query):
    """The document counts characters of a name, the server bytes."""
    names = (query or {}).values()
    return not any(isinstance(name, str) and len(name) <= 255 < len(name.encode()) for name in names)


@schemathesis.hook
def after_call(context, case, response):
    answers[name_of(case)][response.status_code] += 1
    if name_of(case) == "setStorageMode" and response.status_code == 200:
        # Or nobody could upload from now on.
        mode = response.request.url
        uploads.put(mode, json={"mode": "rw"}, timeout=10).raise_for_status()


class Request:
    """What was sent, as far as it explains a refusal."""

    def __init__(self, case, response):
        self.case = case
        self.headers = requests.structures.CaseInsensitiveDict(case.headers or {})
        self.query = case.query or {}
        self.operation = name_of(case)
        self.is_named = case.id in named
        body = response.request.body
        self.body = body if isinstance(body, bytes) else str(body or "").encode()

    def has(self, *names):
        """Whether it has one of these headers or parameters."""
        return any(name in self.headers or name in self.query for name in names)

    def number(self, *names):
        """The largest number under these names, in headers, parameters or a JSON object; 0 if there is none."""
        places = [self.headers, self.query, self.case.body if isinstance(self.case.body, dict) else {}]
        values = [place.get(name) for place in places for name in names]
        return max((int(value) for value in values if str(value).isdecimal()), default=0)

    def fits(self, name, pattern):
        """Whether it has this header, written so."""
        return re.fullmatch(pattern, str(self.headers.get(name, ""))) is not None

    def is_no_metadata(self):
        """Because of bytes that the document does not count, or that are no text."""
        size = lambda text: len(str(text).encode(errors="surrogatepass"))
        if isinstance(self.case.body, dict):
            return any(size(name) > 64 or size(value) > 256 for name, value in self.case.body.items())
        try:
            self.body.decode()
        except UnicodeDecodeError:
            return True
        name = unquote(str((self.case.path_parameters or {}).get("name", "")))
        separators = min(self.body + name.encode(errors="surrogatepass"), default=3) < 3
        return size(name) > 64 or len(self.body) > 256 or separators

    def is_about_another_group(self):
        """Which nobody has."""
        body = self.case.body if isinstance(self.case.body, dict) else {}
        groups = [place.get("group", "group1") for place in (self.query, body)]
        file_id = unquote(str((self.case.path_parameters or {}).get("file_id", "group1")))
        return any(group not in (None, "group1") for group in [*groups, file_id.split("/")[0]])


# More than any disk here has.
MUCH = 1 << 33
MISSING = {
    "bad_file_id": lambda it: not it.is_named or it.has("master"),
    "no_such_file": lambda it: not it.is_named or it.has("master"),
    "no_such_item": lambda it: not it.is_named,
    "no_such_group": lambda it: not it.is_named or it.is_about_another_group(),
    "no_such_storage": lambda it: not it.is_named or it.operation == "setTrunkServer",
    "no_such_upload": lambda it: not it.is_named or it.has("Upload-Concat"),
    # The start page, for who is no browser.
    "no_such_path": lambda it: it.operation == "home" and "text/html" not in it.headers.get("Accept", ""),
}
# What a valid request may hear nevertheless, by code, and when: its parts miss each other or the file's state, which a
# document cannot say, or they count bytes where it counts characters.
EXPLAINED = MISSING | {
    "not_appender": lambda it: it.operation in APPENDERS and not it.is_named,
    "offset_mismatch": lambda it: it.has("Upload-Offset", "offset", "size"),
    "precondition_failed": lambda it: it.has("If-Match", "If-None-Match", "If-Unmodified-Since"),
    "range_not_satisfiable": lambda it: it.has("Range"),
    "idempotency_mismatch": lambda it: it.has("Idempotency-Key"),
    # Schemathesis sends some headers, here and below, that do not fit their pattern.
    "bad_digest": lambda it: it.has("Content-Digest", "Repr-Digest", "Want-Repr-Digest") or not it.fits("Content-MD5", r"\S{22}=="),
    "digest_mismatch": lambda it: it.has("Content-MD5", "Content-Digest", "Repr-Digest"),
    "bad_filename": lambda it: it.has("Content-Disposition", "Upload-Metadata") or not it.body.isascii(),
    "bad_metadata": lambda it: it.operation == "uploadFile" or it.has("Upload-Metadata") or it.is_no_metadata(),
    "bad_kind": lambda it: it.has("Upload-Metadata"),
    "bad_multipart": lambda it: "multipart" in it.headers.get("Content-Type", "multipart"),
    "bad_prefix": lambda it: it.has("master", "prefix"),
    "exists": lambda it: it.has("prefix"),
    # A link has the extension of its file, unless one is given.
    "bad_extension": lambda it: it.operation == "linkFile" and not it.is_named and not it.has("ext"),
    "tus_version": lambda it: not it.has("Tus-Resumable"),
    "two_lengths": lambda it: it.has("Upload-Length") and it.has("Upload-Defer-Length"),
    "no_length": lambda it: not it.has("Upload-Length", "Upload-Defer-Length"),
    "other_offset": lambda it: it.number("Upload-Offset") > 0,
    "other_length": lambda it: it.has("Upload-Length"),
    "media_type": lambda it: "offset+octet-stream" not in it.headers.get("Content-Type", ""),
    "unknown_checksum": lambda it: not it.fits("Upload-Checksum", r"(md5|sha1|sha256) [A-Za-z0-9+/]+={1,2}"),
    "bad_checksum": lambda it: not it.fits("Upload-Checksum", r"md5 \S{24}|sha1 \S{28}|sha256 \S{44}"),
    "bad_expiry": lambda it: it.number("Expires-In", "expires_in") > 3_155_760_000,
    # JSON has no other numbers: 1.0 is an integer there.
    "bad_ticket": lambda it: any(isinstance(value, float) for value in dict(it.case.body).values()),
    "checksum_mismatch": lambda it: it.has("Upload-Checksum"),
    "content_too_long": lambda it: len(it.body) > 11 or it.has("Upload-Length"),
    "bad_concat": lambda it: it.has("Upload-Concat") and it.has("Upload-Length"),
    "group_not_empty": lambda it: it.operation == "deleteGroup",
    "storage_in_service": lambda it: it.operation == "deleteStorage",
    "trunk_files_off": lambda it: it.operation == "setTrunkServer",
}
# What a server cannot do, though nothing is wrong with it.
BEYOND = {
    "no_member": lambda it: it.is_about_another_group(),
    "no_space": lambda it: it.number("size", "max_size", "Upload-Length", "Content-Length") > MUCH,
}


def refusal(response):
    """The code of a problem; empty if the answer tells none, as that to a HEAD."""
    kind = response.headers.get("content-type", [""])[0]
    return response.json().get("code", "") if kind.startswith("application/problem+json") and response.content else ""


@schemathesis.check
def valid_data_is_taken(context, response, case):
    """What fits the document is refused only for a reason that is listed here, and that is in the request."""
    if case.meta is None or not case.meta.generation.mode.is_positive or not 400 <= response.status_code < 500:
        return
    it, code = Request(case, response), refusal(response)
    if response.request.method == "HEAD":
        # Without a body there is no code.
        excused = it.has("If-Match", "If-Unmodified-Since", "Range") or not it.is_named
        assert response.status_code in (404, 412, 416) and excused, f"valid data is refused with {response.status_code}"
        return
    assert code in EXPLAINED, f"valid data is refused with {response.status_code} {code}"
    assert EXPLAINED[code](it), f"nothing in the request explains {response.status_code} {code}"


@schemathesis.check
def what_cannot_be_done_is_beyond_the_server(context, response, case):
    """Only no room for what is far too large, and nobody who has a group that is not there."""
    if response.status_code < 500:
        return
    code = refusal(response)
    assert code in BEYOND and BEYOND[code](Request(case, response)), f"{response.status_code} {code}"


@schemathesis.check
def codes_are_explained(context, response, case):
    """Every problem has a code of the document's table, with one of its statuses."""
    kind = response.headers.get("content-type", [""])[0]
    if not kind.startswith("application/problem+json") or response.request.method == "HEAD":
        return
    problem = response.json()
    code, status = problem["code"], response.status_code
    assert problem["status"] == status, f"the document says {problem['status']}"
    assert status in codes.get(code, {"status": []})["status"], f"x-problem-codes: {code} lacks {status}"


@atexit.register
def count_answers():
    with open(os.environ["FDFS_ANSWERS"], "w", encoding="utf-8") as file:
        json.dump(answers, file)
