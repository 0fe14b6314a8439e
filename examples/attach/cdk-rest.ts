// A REST API behind the authorizer, type TOKEN.
import { App, Duration, Fn, Stack } from 'aws-cdk-lib';
import { LambdaRestApi, TokenAuthorizer } from 'aws-cdk-lib/aws-apigateway';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Code, Function, Runtime } from 'aws-cdk-lib/aws-lambda';

// `cdk init` writes this flag into cdk.json. Without it a change of the authorizer reaches no stage.
const app = new App({ context: { '@aws-cdk/aws-apigateway:authorizerChangeDeploymentLogicalId': true } });
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
const hanko = new TokenAuthorizer(stack, 'Hanko', {
  handler: Function.fromFunctionArn(stack, 'Authorizer', Fn.importValue('hanko-authorizer-AuthorizerArn')),
  assumeRole: Role.fromRoleArn(stack, 'InvokeRole', Fn.importValue('hanko-authorizer-InvokeRoleArn')),
  resultsCacheTtl: Duration.minutes(5),
});
new LambdaRestApi(stack, 'Api', {
  handler: backend,
  deployOptions: { stageName: 'v1' },
  defaultMethodOptions: { authorizer: hanko },
});
// --- end
