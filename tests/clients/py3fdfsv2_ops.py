"""Conformance client: PyPI `py3fdfsv2==2.4.1`, the client code of the 3.08 line (16-byte address slots only, file IDs
are bytes, the tracker connection is pooled and tested with command 111 before each use). Owns the operations of that
library; run it with the Python of the environment that `install` makes.

    python py3fdfsv2_ops.py TRACKER_HOST TRACKER_PORT

One line an operation: `ok NAME`, `FAIL NAME: why`, or `left out NAME: reason`. Exits 1 if anything failed.
"""

import os
import re
import sys
import time
import zlib

from fdfs_client.client import Fdfs_client

sys.dont_write_bytecode = True  # leave no __pycache__ beside this file
from checks import (
    ENOENT, LARGE, PATCH, SMALL, both_crc_signs, content, local_file, local_path, read_file, refused, run, same,
    tracker_argument,
)

HOST, PORT = tracker_argument()


def connect():
    # A client of its own for every operation: the library leaves a broken conversation in its pool after an error.
    return Fdfs_client(
        {"host_tuple": (HOST,), "port": PORT, "timeout": 10, "name": "Tracker Pool", "use_storage_id": False}
    )


def status_of(error):
    """The status byte that the library puts into its message, None for any other error."""
    found = re.match(r"(?:\[-\] )?Error: (\d+),? ", str(error))
    return int(found.group(1)) if found else None


def stored(answer):
    return answer["Remote file_id"]


def appender(client, data=SMALL):
    return stored(client.upload_appender_by_buffer(data, "log"))


def holds(client, file_id, expected):
    same(f"content of {file_id.decode()}", client.download_to_buffer(file_id)["Content"], expected)


def upload_buffer():
    client = connect()
    file_id = stored(client.upload_by_buffer(SMALL, "txt"))
    pattern = rb"[A-Za-z0-9]{1,16}/M[0-9A-F]{2}/[0-9A-F]{2}/[0-9A-F]{2}/[\w-]{27,}\.txt"
    same("shape of the file ID", "good" if re.fullmatch(pattern, file_id) else file_id.decode(), "good")
    holds(client, file_id, SMALL)


def upload_one_byte():
    client = connect()
    holds(client, stored(client.upload_by_buffer(content(1, 4))), content(1, 4))


def upload_large_buffer():
    client = connect()
    holds(client, stored(client.upload_by_buffer(LARGE, "bin")), LARGE)


def upload_file():
    client = connect()
    answer = client.upload_by_filename(local_file("picture.jpg", LARGE))
    same("extension", os.path.splitext(stored(answer))[1], b".jpg")
    same("uploaded size", answer["Uploaded size"], len(LARGE))
    holds(client, stored(answer), LARGE)


def upload_appender_buffer():
    client = connect()
    holds(client, appender(client), SMALL)


def upload_empty_appender():
    client = connect()
    file_id = stored(client.upload_appender_by_buffer(b"", "log"))
    client.append_by_buffer(PATCH, file_id)
    holds(client, file_id, PATCH)


def upload_appender_file():
    client = connect()
    file_id = stored(client.upload_appender_by_filename(local_file("appender.log", LARGE)))
    same("extension", os.path.splitext(file_id)[1], b".log")
    client.append_by_buffer(PATCH, file_id)
    holds(client, file_id, LARGE + PATCH)


def append_buffer():
    client = connect()
    file_id = appender(client)
    client.append_by_buffer(PATCH, file_id)
    client.append_by_buffer(LARGE, file_id)
    holds(client, file_id, SMALL + PATCH + LARGE)


def append_file():
    client = connect()
    file_id = appender(client)
    client.append_by_filename(local_file("more", LARGE), file_id)
    holds(client, file_id, SMALL + LARGE)


def modify_buffer():
    client = connect()
    file_id = appender(client)
    client.modify_by_buffer(PATCH, file_id, 0)
    holds(client, file_id, PATCH + SMALL[len(PATCH):])


def truncate():
    client = connect()
    file_id = appender(client, LARGE)
    client.truncate_file(1_234, file_id)
    holds(client, file_id, LARGE[:1_234])
    client.append_by_buffer(PATCH, file_id)
    holds(client, file_id, LARGE[:1_234] + PATCH)
    client.truncate_file(0, file_id)
    same("size after a cut to nothing", client.query_file_info(file_id)[0], 0)
    client.truncate_file(5, file_id)
    holds(client, file_id, bytes(5))


def regenerate():
    client = connect()
    old = appender(client)
    client.append_by_buffer(PATCH, old)
    new = stored(client.regenerate_appender_filename(old))
    same("the name changed", "changed" if new != old else "kept", "changed")
    holds(client, new, SMALL + PATCH)
    size, _, crc32, _ = client.query_file_info(new)
    same("size", size, len(SMALL + PATCH))
    same("crc32", crc32 & 0xFFFFFFFF, zlib.crc32(SMALL + PATCH))
    refused("download under the old name", lambda: client.download_to_buffer(old), ENOENT, status_of)


def download_buffer():
    client = connect()
    file_id = stored(client.upload_by_buffer(LARGE))
    answer = client.download_to_buffer(file_id)
    same("content", answer["Content"], LARGE)


def download_file():
    client = connect()
    file_id = stored(client.upload_by_buffer(LARGE))
    client.download_to_file(local_path("downloaded"), file_id)
    same("local file", read_file(local_path("downloaded")), LARGE)


def download_range():
    client = connect()
    file_id = stored(client.upload_by_buffer(LARGE))
    for offset, length in ((5, 400_000), (0, 1), (600_000, 0), (700_000, 99)):
        expected = LARGE[offset:offset + length] if length else LARGE[offset:]
        part = client.download_to_buffer(file_id, offset, length)["Content"]
        same(f"{length} bytes from {offset}", part, expected)


def file_info():
    client = connect()
    for data in (*both_crc_signs(), LARGE):
        now = int(time.time())
        size, created, crc32, address = client.query_file_info(stored(client.upload_by_buffer(data)))
        same("size", size, len(data))
        same("crc32", crc32 & 0xFFFFFFFF, zlib.crc32(data))
        same("time", "now" if abs(created - now) < 60 else created, "now")
        address = address.rstrip(b"\0").decode()
        same("source address", "IPv4" if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", address) else address, "IPv4")


def delete():
    client = connect()
    for file_id in (stored(client.upload_by_buffer(SMALL)), appender(client)):
        client.delete_file(file_id)
        refused("download of a deleted file", lambda: client.download_to_buffer(file_id), ENOENT, status_of)
        refused("info of a deleted file", lambda: client.query_file_info(file_id), ENOENT, status_of)
        refused("second delete", lambda: client.delete_file(file_id), ENOENT, status_of)


def pooled_tracker_connection():
    client = connect()
    for seed in range(6, 10):
        data = content(64, seed)
        holds(client, stored(client.upload_by_buffer(data)), data)
    same("tracker connections made", client.tracker_pool._conns_created, 1)


OPERATIONS = {
    "upload buffer": upload_buffer,
    "upload buffer of one byte": upload_one_byte,
    "upload buffer over the buffer size": upload_large_buffer,
    "upload file": upload_file,
    "upload appender buffer": upload_appender_buffer,
    "upload empty appender": upload_empty_appender,
    "upload appender file": upload_appender_file,
    "append buffer": append_buffer,
    "append file": append_file,
    "modify buffer at 0": modify_buffer,
    "truncate": truncate,
    "regenerate": regenerate,
    "download to buffer": download_buffer,
    "download to file": download_file,
    "download range": download_range,
    "file info": file_info,
    "delete": delete,
    "pooled tracker connection": pooled_tracker_connection,
}

LEFT_OUT = {
    "metadata": "the library gives struct.pack a str where it needs bytes",
    "stream calls (upload_by_file, append_by_file, ...)": "the library's sendfile is a stub that sends nothing",
    "upload slave": "the library gives struct.pack a str where it needs bytes",
    "modify at another offset": "the library always sends offset 0",
    "modify from a file": "the library calls its own sender without a needed argument",
    "download range to file": "the library reads unset variables",
    "list groups, list servers": "the library knows only the records of its own time (105 and 600 bytes)",
}

if __name__ == "__main__":
    sys.exit(run(OPERATIONS, LEFT_OUT))
