# A REST API behind the authorizer, type TOKEN.
resource "aws_api_gateway_rest_api" "api" {
  name = "my-api"
  lifecycle {
    create_before_destroy = true
  }
}

# --- shown in docs/attach.md
data "aws_cloudformation_export" "authorizer" { name = "hanko-authorizer-AuthorizerArn" }
data "aws_cloudformation_export" "invoke_role" { name = "hanko-authorizer-InvokeRoleArn" }
data "aws_region" "here" {}
data "aws_partition" "here" {}

resource "aws_api_gateway_authorizer" "hanko" {
  name                             = "hanko"
  rest_api_id                      = aws_api_gateway_rest_api.api.id
  type                             = "TOKEN"
  authorizer_uri                   = "arn:${data.aws_partition.here.partition}:apigateway:${data.aws_region.here.region}:lambda:path/2015-03-31/functions/${data.aws_cloudformation_export.authorizer.value}/invocations"
  authorizer_credentials           = data.aws_cloudformation_export.invoke_role.value
  identity_source                  = "method.request.header.Authorization"
  authorizer_result_ttl_in_seconds = 300
}
# --- end

resource "aws_api_gateway_method" "me" {
  # checkov:skip=CKV2_AWS_53:The backend says what it accepts
  rest_api_id   = aws_api_gateway_rest_api.api.id
  resource_id   = aws_api_gateway_rest_api.api.root_resource_id
  http_method   = "GET"
  authorization = "CUSTOM"
  authorizer_id = aws_api_gateway_authorizer.hanko.id
}

resource "aws_api_gateway_integration" "me" {
  rest_api_id = aws_api_gateway_rest_api.api.id
  resource_id = aws_api_gateway_method.me.resource_id
  http_method = aws_api_gateway_method.me.http_method
  type        = "MOCK"
}

# Terraform makes a new deployment only when this hash changes: the authorizer must be in it.
resource "aws_api_gateway_deployment" "api" {
  rest_api_id = aws_api_gateway_rest_api.api.id
  triggers = {
    redeployment = sha1(jsonencode([
      aws_api_gateway_authorizer.hanko,
      aws_api_gateway_method.me,
      aws_api_gateway_integration.me,
    ]))
  }
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "v1" {
  # checkov:skip=CKV_AWS_73:Traces have a price
  # checkov:skip=CKV_AWS_76:The example is as short as it can be; examples/rest-token.yaml has an access log
  # checkov:skip=CKV_AWS_120:The cache does not tell one caller from another
  # checkov:skip=CKV2_AWS_4:API Gateway's execution log would need a role of the account
  # checkov:skip=CKV2_AWS_29:A web ACL has a price, and is one for all APIs of an account
  # checkov:skip=CKV2_AWS_51:The backend is a Lambda function or a mock, which knows no client certificate
  rest_api_id   = aws_api_gateway_rest_api.api.id
  deployment_id = aws_api_gateway_deployment.api.id
  stage_name    = "v1"
}
