#!/bin/sh
# Puts the authorizer in front of one route of an HTTP API: payload 2.0 with simple responses.
set -eu

# --- shown in docs/attach.md
# It needs API_ID, ROUTE_ID (of aws apigatewayv2 get-routes), AUTHORIZER_ARN, INVOKE_ROLE_ARN and AWS_REGION.
# API Gateway invokes the alias with that role, which has its permission already.
authorizer=$(aws apigatewayv2 create-authorizer --api-id "$API_ID" --name hanko --authorizer-type REQUEST \
  --authorizer-uri "arn:aws:apigateway:$AWS_REGION:lambda:path/2015-03-31/functions/$AUTHORIZER_ARN/invocations" \
  --authorizer-credentials-arn "$INVOKE_ROLE_ARN" \
  --authorizer-payload-format-version 2.0 --enable-simple-responses \
  --identity-source '$request.header.Authorization' '$context.routeKey' --authorizer-result-ttl-in-seconds 300 \
  --query AuthorizerId --output text)
aws apigatewayv2 update-route --api-id "$API_ID" --route-id "$ROUTE_ID" \
  --authorization-type CUSTOM --authorizer-id "$authorizer"
# --- end
