# An HTTP API behind the authorizer: payload 2.0 with simple responses.
variable "backend_arn" { type = string } # the backend, which lets API Gateway invoke it

resource "aws_apigatewayv2_api" "api" {
  name          = "my-api"
  protocol_type = "HTTP"
}

# --- shown in docs/attach.md
data "aws_cloudformation_export" "authorizer" { name = "hanko-authorizer-AuthorizerArn" }
data "aws_cloudformation_export" "invoke_role" { name = "hanko-authorizer-InvokeRoleArn" }
data "aws_region" "here" {}
data "aws_partition" "here" {}

resource "aws_apigatewayv2_authorizer" "hanko" {
  name                              = "hanko"
  api_id                            = aws_apigatewayv2_api.api.id
  authorizer_type                   = "REQUEST"
  authorizer_uri                    = "arn:${data.aws_partition.here.partition}:apigateway:${data.aws_region.here.region}:lambda:path/2015-03-31/functions/${data.aws_cloudformation_export.authorizer.value}/invocations"
  authorizer_credentials_arn        = data.aws_cloudformation_export.invoke_role.value
  authorizer_payload_format_version = "2.0"
  enable_simple_responses           = true
  identity_sources                  = ["$request.header.Authorization", "$context.routeKey"]
  authorizer_result_ttl_in_seconds  = 300
}
# --- end

resource "aws_apigatewayv2_integration" "me" {
  api_id                 = aws_apigatewayv2_api.api.id
  integration_type       = "AWS_PROXY"
  integration_uri        = var.backend_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "me" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "GET /me"
  target             = "integrations/${aws_apigatewayv2_integration.me.id}"
  authorization_type = "CUSTOM"
  authorizer_id      = aws_apigatewayv2_authorizer.hanko.id
}

resource "aws_apigatewayv2_stage" "default" {
  # checkov:skip=CKV_AWS_76:The example is as short as it can be; examples/http-api.yaml has an access log
  api_id      = aws_apigatewayv2_api.api.id
  name        = "$default"
  auto_deploy = true
}
