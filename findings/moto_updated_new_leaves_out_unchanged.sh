#!/usr/bin/env bash
# moto 5.2.5 with boto3 1.43.108, seen 2026-11-28.
# DynamoDB documents ReturnValues=UPDATED_NEW as the updated attributes as they appear after UpdateItem. moto returns
# only those whose value differs from before, none if the values are the same, and for a new item its key, too.
# Expected: the attributes that the update expression sets, and no others, whatever they were before.
# Why it matters here: the receiver takes a write for durable only if the answer holds the written numbers. A webhook
# that comes twice writes the same numbers; with UPDATED_NEW a test on moto would call that write failed. So
# revocation/writer.py asks for ALL_NEW, which is the same on both.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[dynamodb]==5.2.5' boto3==1.43.108

cat >"$folder/seen.py" <<'PYTHON'
import boto3
from moto import mock_aws

with mock_aws():
    table = boto3.resource("dynamodb", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="x").create_table(
        TableName="entries",
        AttributeDefinitions=[{"AttributeName": "subject", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "subject", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for first, second in ((1, 2), (1, 2), (1, 3)):
        answer = table.update_item(
            Key={"subject": "a"},
            UpdateExpression="SET one = :first, two = :second",
            ExpressionAttributeValues={":first": first, ":second": second},
            ReturnValues="UPDATED_NEW",
        )
        print(" ".join(sorted(answer.get("Attributes", {}))) or "nothing")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/seen.py")
expected=$(printf 'one two\none two\none two')
echo "expected for a new item, the same values, one other value:"
echo "$expected"
echo "seen:"
echo "$seen"

if [ "$seen" != "$(printf 'one subject two\nnothing\ntwo')" ]; then
    echo "CHANGED: moto answers UPDATED_NEW in another way"
    exit 1
fi
echo "as seen: only what changed, and the key of a new item"
