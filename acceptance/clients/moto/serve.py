"""Serves moto, an AWS of others' making, on a free port until its input ends. It prints one line of JSON: the address,
and the access keys of three users: "store" may assume the roles "scoped", which may do everything in S3, and "barred", which may read no object; "rotating" may
do so too, and what the policy allows that is the argument; "fixed" may do nothing. From then on moto checks every
signature and every permission."""

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


def user(name, *actions):
    iam.create_user(UserName=name)
    if actions:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(Action=actions, Resource="*"))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}


iam, s3 = client("iam"), client("s3")
with open(sys.argv[1]) as file:
    # Its actions alone: moto knows neither the variables of policies nor the resources of calls to IAM.
    own_keys = json.load(file)["Statement"][0]["Action"]
users = {"store": user("store", "sts:*", "s3:*"), "rotating": user("rotating", "sts:AssumeRole", *own_keys),
         "fixed": user("fixed")}
for role, actions in {"scoped": "s3:*", "barred": "s3:GetBucketLocation"}.items():
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(Action="sts:AssumeRole", Principal={"AWS": "*"}))
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=policy(Action=actions, Resource="*"))
s3.create_bucket(Bucket="ledger")
urllib.request.urlopen(urllib.request.Request(endpoint + "/moto-api/reset-auth", data=b"0",
                                              headers={"Content-Type": "text/plain"}))
print(json.dumps({"endpoint": endpoint, "users": users}), flush=True)
sys.stdin.read()
server.stop()
