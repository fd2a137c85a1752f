"""What REDbot says about resources.

Reads a JSON list of resources from standard input, each with a url and, if they are others than GET and none, a method
and a list of headers (pairs). Writes a JSON list of what was found about each, in the same order: its status, and the
notes on the resource and on the requests that REDbot makes besides (check), each with its level, which is good, info,
warning or bad.
"""

import json
import sys
from configparser import ConfigParser

import thor
from redbot.resource import HttpResource


def notes(check, linter):
    """The notes of one request; those below a note are its reasons and have levels of their own."""
    found = []
    todo = list(linter.notes)
    while todo:
        note = todo.pop(0)
        todo.extend(note.subnotes)
        found.append(
            {
                "check": check,
                "level": note.level.value,
                "note": type(note).__name__,
                "subject": note.subject,
                "summary": str(note.summary),
            }
        )
    return found


def failure(check, fetcher):
    """A request that came to nothing, as a note."""
    error = fetcher.fetch_error
    return {
        "check": check,
        "level": "bad",
        "note": type(error).__name__,
        "subject": fetcher.request.uri,
        "summary": f"{error.desc} {error.detail or ''}",
    }


def report(resource):
    found = []
    fetchers = [("resource", resource)] + [(check, sub) for check, sub in resource.subreqs.items()]
    for check, fetcher in fetchers:
        if fetcher.fetch_error is not None:
            found.append(failure(check, fetcher))
        found.extend(notes(check, fetcher.response))
    return {"status": resource.response.status_code, "notes": found}


def main():
    parser = ConfigParser()
    parser.read_dict({"redbot": {"enable_local_access": "True"}})
    resources = []
    left = json.load(sys.stdin)
    waiting = len(left)

    def done():
        nonlocal waiting
        waiting -= 1
        if waiting == 0:
            thor.stop()

    for wanted in left:
        resource = HttpResource(parser["redbot"])
        headers = [tuple(pair) for pair in wanted.get("headers", [])]
        resource.set_request(wanted["url"], wanted.get("method", "GET"), headers)
        resource.on("check_done", done)
        resources.append(resource)
    for resource in resources:
        resource.check()
    if waiting > 0:
        thor.run()
    json.dump([report(resource) for resource in resources], sys.stdout, indent=1)


main()
