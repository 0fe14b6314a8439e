/// <reference path="./.sst/platform/config.d.ts" />
// An HTTP API behind the authorizer: payload 2.0 with simple responses. For SST 3.

export default $config({
  app: () => ({ name: 'my-api', home: 'aws' }),
  async run() {
    // --- shown in docs/attach.md
    const authorizerArn = aws.cloudformation.getExportOutput({ name: 'hanko-authorizer-AuthorizerArn' }).value;
    const invokeRoleArn = aws.cloudformation.getExportOutput({ name: 'hanko-authorizer-InvokeRoleArn' }).value;
    const [region, partition] = [aws.getRegionOutput().name, aws.getPartitionOutput().partition];
    const api = new sst.aws.ApiGatewayV2('Api');
    const hanko = new aws.apigatewayv2.Authorizer('Hanko', {
      name: 'hanko',
      apiId: api.nodes.api.id,
      authorizerType: 'REQUEST',
      authorizerUri: $interpolate`arn:${partition}:apigateway:${region}:lambda:path/2015-03-31/functions/${authorizerArn}/invocations`,
      authorizerCredentialsArn: invokeRoleArn,
      authorizerPayloadFormatVersion: '2.0', enableSimpleResponses: true,
      identitySources: ['$request.header.Authorization', '$context.routeKey'],
      authorizerResultTtlInSeconds: 300,
    });
    api.route('GET /me', 'me.handler', { auth: { lambda: hanko.id } });
    // --- end
  },
});
