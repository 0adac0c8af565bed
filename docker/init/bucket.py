"""Creates the bucket, unless it is there. `delsert check` would, too, where its credentials may."""

import os

import boto3
from botocore.config import Config

s3 = boto3.client(
    "s3",
    endpoint_url=os.environ.get("S3_ENDPOINT", "http://rustfs:9000"),
    region_name="us-east-1",
    config=Config(s3={"addressing_style": "path"}),
)
name = "delsert"
if name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
    s3.create_bucket(Bucket=name)
print(f"The bucket {name} is there.")
