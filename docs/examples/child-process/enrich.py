#!/usr/bin/env python3
"""A node of a pipeline: one JSON object a line, in and out. The host starts it and stops it."""
import json
import sys

seen = 0
for line in sys.stdin:
    item = json.loads(line)
    body = item["body"]
    if "text" not in body:
        answer = {"id": item["id"], "error": "it has no text"}
    else:
        answer = {"id": item["id"], "out": [{**body, "length": len(body["text"])}]}
    seen += 1
    answer["metrics"] = {"items-seen": seen}
    print(json.dumps(answer), flush=True)
