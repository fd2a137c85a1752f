"""Conformance client: PyPI `fastdfs-client==1.3.0`. It knows only 46-byte address slots, so the tracker must answer with
`response_ip_addr_size = IPv6`. Owns the operations of that library; run it with the Python of the environment that
`install` makes.

    python fastdfs_client_ops.py TRACKER_HOST TRACKER_PORT

One line an operation: `ok NAME`, `FAIL NAME: why`, or `left out NAME: reason`. Exits 1 if anything failed.

The library's public append, modify and truncate hand a str to struct.pack and never reach the wire; those three are
called one layer down, on its own StorageClient, with the name as bytes.
"""

import asyncio
import os
import re
import sys

from fastdfs_client import FastdfsClient
from fastdfs_client.storage_client import StorageClient
from fastdfs_client.tracker_client import TrackerClient

sys.dont_write_bytecode = True  # leave no __pycache__ beside this file
from checks import (
    ENOENT, LARGE, PATCH, SMALL, content, local_file, local_path, read_file, refused, run, same, tracker_argument,
)

HOST, PORT = tracker_argument()
TIMEOUT_S = 10


def connect():
    # A client of its own for every operation: the library leaves a broken conversation in its pool after an error.
    return FastdfsClient({"host_tuple": (HOST,), "port": PORT, "timeout": TIMEOUT_S, "name": "Tracker Pool"})


def status_of(error):
    """The status byte that the library puts into its message, None for any other error."""
    found = re.search(r"Error: ?(\d+),? ", str(error))
    return int(found.group(1)) if found else None


def stored(answer):
    return answer["Remote file_id"]


def appender(client, data=SMALL):
    return stored(client.upload_appender_by_buffer(data, "log"))


def holds(client, file_id, expected):
    same(f"content of {file_id}", client.download_to_buffer(file_id)["Content"], expected)


def source_of(client, file_id):
    """What the library's own update calls look up first: its storage client, tracker client, server, and the name."""
    group, name = file_id.split("/", 1)
    tracker = TrackerClient(client.tracker_pool)
    server = tracker.tracker_query_storage_update(group, name)
    return StorageClient(server.ip_addr, server.port, TIMEOUT_S), tracker, server, name.encode()


def append(client, file_id, data):
    storage, tracker, server, name = source_of(client, file_id)
    storage.storage_append_by_buffer(tracker, server, data, name)


def id_of(url):
    """The file ID in `http://ADDRESS/GROUP/NAME`."""
    return url.split("://", 1)[1].split("/", 1)[1]


def upload_buffer():
    client = connect()
    file_id = stored(client.upload_by_buffer(SMALL, "txt"))
    pattern = r"[A-Za-z0-9]{1,16}/M[0-9A-F]{2}/[0-9A-F]{2}/[0-9A-F]{2}/[\w-]{27,}\.txt"
    same("shape of the file ID", "good" if re.fullmatch(pattern, file_id) else file_id, "good")
    holds(client, file_id, SMALL)


def upload_one_byte():
    client = connect()
    holds(client, stored(client.upload_by_buffer(content(1, 4))), content(1, 4))


def upload_large_buffer():
    client = connect()
    holds(client, stored(client.upload_by_buffer(LARGE, "bin")), LARGE)


def upload_file():
    client = connect()
    file_id = stored(client.upload_by_filename(local_file("picture.jpg", LARGE)))
    same("extension", os.path.splitext(file_id)[1], ".jpg")
    holds(client, file_id, LARGE)


def upload_as_url():
    client = connect()
    url = client.upload_as_url(SMALL, ".txt")
    same("scheme", url.split("://", 1)[0], "http")
    holds(client, id_of(url), SMALL)


def upload_async():
    client = connect()
    holds(client, id_of(asyncio.run(client.upload(LARGE, ".bin"))), LARGE)


def upload_appender_buffer():
    client = connect()
    file_id = appender(client)
    append(client, file_id, PATCH)
    holds(client, file_id, SMALL + PATCH)


def upload_appender_file():
    client = connect()
    file_id = stored(client.upload_appender_by_filename(local_file("appender.log", LARGE)))
    same("extension", os.path.splitext(file_id)[1], ".log")
    append(client, file_id, PATCH)
    holds(client, file_id, LARGE + PATCH)


def append_buffer():
    client = connect()
    file_id = appender(client)
    append(client, file_id, PATCH)
    append(client, file_id, LARGE)
    holds(client, file_id, SMALL + PATCH + LARGE)


def append_file():
    client = connect()
    file_id = appender(client)
    storage, tracker, server, name = source_of(client, file_id)
    storage.storage_append_by_filename(tracker, server, local_file("more", LARGE), name)
    holds(client, file_id, SMALL + LARGE)


def modify():
    client = connect()
    for offset in (0, 450, 900):
        file_id = appender(client)
        storage, tracker, server, name = source_of(client, file_id)
        storage.storage_modify_by_buffer(tracker, server, PATCH, offset, len(PATCH), name)
        holds(client, file_id, SMALL[:offset] + PATCH + SMALL[offset + len(PATCH):])


def truncate():
    client = connect()
    file_id = appender(client, LARGE)
    storage, tracker, server, name = source_of(client, file_id)
    storage.storage_truncate_file(tracker, server, 1_234, name)
    holds(client, file_id, LARGE[:1_234])
    storage.storage_truncate_file(tracker, server, 1_240, name)
    holds(client, file_id, LARGE[:1_234] + bytes(6))


def metadata_absent():
    client = connect()
    file_id = stored(client.upload_by_buffer(SMALL))
    refused("get", lambda: client.get_meta_data(file_id), ENOENT, status_of)


def download_buffer():
    client = connect()
    answer = client.download_to_buffer(stored(client.upload_by_buffer(LARGE)))
    same("content", answer["Content"], LARGE)


def download_file():
    client = connect()
    file_id = stored(client.upload_by_buffer(SMALL))
    client.download_to_file(local_path("downloaded"), file_id)
    same("local file", read_file(local_path("downloaded")), SMALL)
    client.download_to_file(local_path("part"), file_id, 5, 400)
    same("part of a file", read_file(local_path("part")), SMALL[5:405])


def download_range():
    client = connect()
    file_id = stored(client.upload_by_buffer(LARGE))
    for offset, length in ((5, 400_000), (0, 1), (600_000, 0), (700_000, 99)):
        expected = LARGE[offset:offset + length] if length else LARGE[offset:]
        part = client.download_to_buffer(file_id, offset, length)["Content"]
        same(f"{length} bytes from {offset}", part, expected)


def delete():
    client = connect()
    for file_id in (stored(client.upload_by_buffer(SMALL)), appender(client)):
        client.delete_file(file_id)
        refused("download of a deleted file", lambda: client.download_to_buffer(file_id), ENOENT, status_of)
        refused("second delete", lambda: client.delete_file(file_id), ENOENT, status_of)


def delete_async():
    client = connect()
    file_id = stored(client.upload_by_buffer(SMALL))
    asyncio.run(client.delete(file_id))
    refused("download of a deleted file", lambda: client.download_to_buffer(file_id), ENOENT, status_of)


OPERATIONS = {
    "upload buffer": upload_buffer,
    "upload buffer of one byte": upload_one_byte,
    "upload buffer over the buffer size": upload_large_buffer,
    "upload file": upload_file,
    "upload as URL": upload_as_url,
    "upload async": upload_async,
    "upload appender buffer": upload_appender_buffer,
    "upload appender file": upload_appender_file,
    "append buffer": append_buffer,
    "append file": append_file,
    "modify": modify,
    "truncate": truncate,
    "metadata get without any": metadata_absent,
    "download to buffer": download_buffer,
    "download to file": download_file,
    "download range": download_range,
    "delete": delete,
    "delete async": delete_async,
}

LEFT_OUT = {
    "file info": "the library has no such call",
    "metadata store": "the library gives struct.pack a str where it needs bytes, at every layer",
    "download to file over 1024 bytes": "the library miscounts what it read when a segment ends inside its 1024 bytes",
    "stream calls (upload_by_file, append_by_file, ...)": "the library's sendfile is not written yet",
    "upload slave": "the library gives struct.pack a str where it needs bytes",
    "delete by URL": "the library looks for the tracker at the storage's address",
    "list groups, list servers": "the library knows only the group record of 105 bytes and packs str names",
}

if __name__ == "__main__":
    sys.exit(run(OPERATIONS, LEFT_OUT))
