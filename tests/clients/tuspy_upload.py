"""Uploads a file by tuspy 1.1.0 and goes on whenever the server comes back.

    tuspy_upload.py ENDPOINT FILE

Prints the URL of the upload when all of it is there. One chunk is 4 MiB, so an upload has many requests.
"""

import sys

from tusclient.client import TusClient

endpoint, path = sys.argv[1:]
uploader = TusClient(endpoint).uploader(
    path, chunk_size=4 << 20, retries=600, retry_delay=0.1, metadata={"filename": "tuspy.bin"}
)
uploader.upload()
print(uploader.url)
