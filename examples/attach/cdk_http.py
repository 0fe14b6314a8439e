"""An HTTP API behind the authorizer: payload 2.0 with simple responses."""

from aws_cdk import App, Duration, Fn, Stack
from aws_cdk.aws_apigatewayv2 import HttpApi, HttpMethod
from aws_cdk.aws_apigatewayv2_authorizers import HttpLambdaAuthorizer, HttpLambdaResponseType
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from aws_cdk.aws_iam import Role
from aws_cdk.aws_lambda import Code, Function, Runtime

BACKEND = """import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"]["authorizer"]["lambda"])}
"""

app = App()
stack = Stack(app, "Api")
backend = Function(
    stack, "Backend", runtime=Runtime.PYTHON_3_13, handler="index.handler", code=Code.from_inline(BACKEND)
)

# --- shown in docs/attach.md
authorizer_arn = Fn.import_value("hanko-authorizer-AuthorizerArn")
invoke_role_arn = Fn.import_value("hanko-authorizer-InvokeRoleArn")
hanko = HttpLambdaAuthorizer(
    "Hanko",
    Function.from_function_arn(stack, "Authorizer", authorizer_arn),
    role=Role.from_role_arn(stack, "InvokeRole", invoke_role_arn),
    response_types=[HttpLambdaResponseType.SIMPLE],
    identity_source=["$request.header.Authorization", "$context.routeKey"],
    results_cache_ttl=Duration.minutes(5),
)
api = HttpApi(stack, "Api", default_authorizer=hanko)
api.add_routes(path="/me", methods=[HttpMethod.GET], integration=HttpLambdaIntegration("Me", backend))
# --- end

app.synth()
