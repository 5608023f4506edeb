"""Lists buckets with boto3's default credentials until CHANGES session changes were seen; one line a call."""

import os
import sys
import time

import boto3

changes = int(os.environ["CHANGES"])
session = boto3.session.Session()
s3 = session.client("s3")
seen = []
deadline = time.monotonic() + 150
while len(seen) <= changes:
    if time.monotonic() > deadline:
        sys.exit("no session change within the time")
    buckets = [b["Name"] for b in s3.list_buckets()["Buckets"]]
    key = session.get_credentials().get_frozen_credentials().access_key
    if key not in seen:
        seen.append(key)
        print(key, *buckets, flush=True)
    time.sleep(0.5)
