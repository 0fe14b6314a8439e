"""A WebSocket API behind the authorizer, which is asked at $connect."""

from aws_cdk import App, Fn, Stack
from aws_cdk.aws_apigatewayv2 import WebSocketApi, WebSocketRouteOptions, WebSocketStage
from aws_cdk.aws_apigatewayv2_authorizers import WebSocketLambdaAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import WebSocketLambdaIntegration
from aws_cdk.aws_lambda import Code, Function, Runtime

BACKEND = """import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"]["authorizer"])}
"""

app = App()
stack = Stack(app, "Api")
backend = Function(
    stack, "Backend", runtime=Runtime.PYTHON_3_13, handler="index.handler", code=Code.from_inline(BACKEND)
)

# --- shown in docs/attach.md
authorizer_arn = Fn.import_value("hanko-authorizer-AuthorizerArn")
authorizer = Function.from_function_attributes(  # without same_environment, no permission
    stack, "Authorizer", function_arn=authorizer_arn, same_environment=True
)
hanko = WebSocketLambdaAuthorizer("Hanko", authorizer, identity_source=[])
connect, message = (WebSocketLambdaIntegration(name, backend) for name in ("Connect", "Message"))
api = WebSocketApi(
    stack,
    "Api",
    connect_route_options=WebSocketRouteOptions(authorizer=hanko, integration=connect),
    default_route_options=WebSocketRouteOptions(integration=message),
)
WebSocketStage(stack, "Stage", web_socket_api=api, stage_name="v1", auto_deploy=True)
# --- end

app.synth()
