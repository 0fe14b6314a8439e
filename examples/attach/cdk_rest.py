"""A REST API behind the authorizer, type TOKEN."""

from aws_cdk import App, Duration, Fn, Stack
from aws_cdk.aws_apigateway import LambdaRestApi, MethodOptions, StageOptions, TokenAuthorizer
from aws_cdk.aws_iam import Role
from aws_cdk.aws_lambda import Code, Function, Runtime

BACKEND = """import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"]["authorizer"])}
"""

# `cdk init` writes this flag into cdk.json. Without it a change of the authorizer reaches no stage.
app = App(context={"@aws-cdk/aws-apigateway:authorizerChangeDeploymentLogicalId": True})
stack = Stack(app, "Api")
backend = Function(
    stack, "Backend", runtime=Runtime.PYTHON_3_13, handler="index.handler", code=Code.from_inline(BACKEND)
)

# --- shown in docs/attach.md
hanko = TokenAuthorizer(
    stack,
    "Hanko",
    handler=Function.from_function_arn(stack, "Authorizer", Fn.import_value("hanko-authorizer-AuthorizerArn")),
    assume_role=Role.from_role_arn(stack, "InvokeRole", Fn.import_value("hanko-authorizer-InvokeRoleArn")),
    results_cache_ttl=Duration.minutes(5),
)
LambdaRestApi(
    stack,
    "Api",
    handler=backend,
    deploy_options=StageOptions(stage_name="v1"),
    default_method_options=MethodOptions(authorizer=hanko),
)
# --- end

app.synth()
