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
from urllib.parse import quote, urlsplit

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
    for part, there in {"group": "group1", "id": STORAGE}.items():
        if part in parameters:
            parameters[part] = there
    if "file_id" in parameters:
        file_id = new_file("appender" if name_of(case) in APPENDERS else "normal")
        parameters["file_id"] = file_id
        if "/metadata/" in case.path:
            item = quote(str(parameters["name"]), safe="")
            # A name that metadata cannot have is refused here as it will be there.
            uploads.put(f"{NODE}/v1/files/{file_id}/metadata/{item}", data=b"value", timeout=10)
    elif "upload" in parameters:
        parameters["upload"] = new_upload()
        # Of the headers that say how to go on, all but one choice in a thousand are refused.
        if case.headers is not None and not is_wrong_on_purpose(case, "HEADER") and chance.random() < 0.5:
            for name in ("Upload-Checksum", "Upload-Complete", "Upload-Length", "X-HTTP-Method-Override"):
                case.headers.pop(name, None)
            case.headers.update({"Tus-Resumable": "1.0.0", "Upload-Offset": "0"})
    elif all(part in parameters for part in FILE_URL):
        parameters.update(zip(FILE_URL, new_file().split("/")))


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
