// An HTTP API behind the authorizer: payload 2.0 with simple responses.
import { App, Duration, Fn, Stack } from 'aws-cdk-lib';
import { HttpApi, HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaAuthorizer, HttpLambdaResponseType } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Code, Function, Runtime } from 'aws-cdk-lib/aws-lambda';

const app = new App();
const stack = new Stack(app, 'Api');
const backend = new Function(stack, 'Backend', {
  runtime: Runtime.PYTHON_3_13,
  handler: 'index.handler',
  code: Code.fromInline(`import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"]["authorizer"]["lambda"])}
`),
});

// --- shown in docs/attach.md
const authorizer = Function.fromFunctionArn(stack, 'Authorizer', Fn.importValue('hanko-authorizer-AuthorizerArn'));
// API Gateway invokes the alias with this role, which has its permission already.
const hanko = new HttpLambdaAuthorizer('Hanko', authorizer, {
  role: Role.fromRoleArn(stack, 'InvokeRole', Fn.importValue('hanko-authorizer-InvokeRoleArn')),
  responseTypes: [HttpLambdaResponseType.SIMPLE],
  identitySource: ['$request.header.Authorization', '$context.routeKey'],
  resultsCacheTtl: Duration.minutes(5),
});
const api = new HttpApi(stack, 'Api', { defaultAuthorizer: hanko });
api.addRoutes({ path: '/me', methods: [HttpMethod.GET], integration: new HttpLambdaIntegration('Me', backend) });
// --- end
