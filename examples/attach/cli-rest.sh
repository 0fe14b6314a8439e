#!/bin/sh
# Puts the authorizer in front of one method of a REST API, type TOKEN, and deploys the stage.
set -eu

# --- shown in docs/attach.md
# It needs API_ID, RESOURCE_ID (of aws apigateway get-resources), AUTHORIZER_ARN, INVOKE_ROLE_ARN and AWS_REGION.
authorizer=$(aws apigateway create-authorizer --rest-api-id "$API_ID" --name hanko --type TOKEN \
  --authorizer-uri "arn:aws:apigateway:$AWS_REGION:lambda:path/2015-03-31/functions/$AUTHORIZER_ARN/invocations" \
  --authorizer-credentials "$INVOKE_ROLE_ARN" \
  --identity-source method.request.header.Authorization --authorizer-result-ttl-in-seconds 300 \
  --query id --output text)
aws apigateway update-method --rest-api-id "$API_ID" --resource-id "$RESOURCE_ID" --http-method GET \
  --patch-operations op=replace,path=/authorizationType,value=CUSTOM \
  "op=replace,path=/authorizerId,value=$authorizer"
aws apigateway create-deployment --rest-api-id "$API_ID" --stage-name v1
# --- end
