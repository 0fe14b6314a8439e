// A WebSocket API behind the authorizer, which is asked at $connect.
import { App, Fn, Stack } from 'aws-cdk-lib';
import { WebSocketApi, WebSocketStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { WebSocketLambdaAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { WebSocketLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Code, Function, Runtime } from 'aws-cdk-lib/aws-lambda';

const app = new App();
const stack = new Stack(app, 'Api');
const backend = new Function(stack, 'Backend', {
  runtime: Runtime.PYTHON_3_13,
  handler: 'index.handler',
  code: Code.fromInline(`import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"]["authorizer"])}
`),
});

// --- shown in docs/attach.md
const authorizer = Function.fromFunctionAttributes(stack, 'Authorizer', {
  functionArn: Fn.importValue('hanko-authorizer-AuthorizerArn'),
  sameEnvironment: true, // without it, no permission
});
const hanko = new WebSocketLambdaAuthorizer('Hanko', authorizer, { identitySource: [] });
const api = new WebSocketApi(stack, 'Api', {
  connectRouteOptions: { authorizer: hanko, integration: new WebSocketLambdaIntegration('Connect', backend) },
  defaultRouteOptions: { integration: new WebSocketLambdaIntegration('Message', backend) },
});
new WebSocketStage(stack, 'Stage', { webSocketApi: api, stageName: 'v1', autoDeploy: true });
// --- end
