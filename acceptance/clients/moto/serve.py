"""Serves moto, an AWS of others' making, on a free port until its input ends. It prints one line of JSON: the address
and the access key of a user who may assume the role "scoped", which may do everything in S3. From then on moto checks
every signature and every permission."""

import json
import sys
import urllib.request

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"


def client(service):
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1",
                        aws_access_key_id="setup", aws_secret_access_key="setup")


def policy(**statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


iam, s3 = client("iam"), client("s3")
iam.create_user(UserName="store")
iam.put_user_policy(UserName="store", PolicyName="p", PolicyDocument=policy(Action=["sts:*", "s3:*"], Resource="*"))
key = iam.create_access_key(UserName="store")["AccessKey"]
iam.create_role(RoleName="scoped", AssumeRolePolicyDocument=policy(Action="sts:AssumeRole", Principal={"AWS": "*"}))
iam.put_role_policy(RoleName="scoped", PolicyName="p", PolicyDocument=policy(Action="s3:*", Resource="*"))
s3.create_bucket(Bucket="ledger")
urllib.request.urlopen(urllib.request.Request(endpoint + "/moto-api/reset-auth", data=b"0",
                                              headers={"Content-Type": "text/plain"}))
print(json.dumps({"endpoint": endpoint, "access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}),
      flush=True)
sys.stdin.read()
server.stop()
