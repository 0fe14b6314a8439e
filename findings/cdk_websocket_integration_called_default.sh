#!/usr/bin/env bash
# aws-cdk-lib 2.276.0, constructs 10.8.1, Node 20, seen 2026-11-28.
# In CDK the first argument of an integration of API Gateway v2 is an id of the user's choice. An integration of the
# default route of a WebSocket API that is called 'Default' cannot be synthesized: "section 'Resources' already
# contains ...". CDK leaves the word Default out of logical ids, so integration and route get the same one.
# Any other word works.
# Expected: 'Connect' for $connect and 'Default' for $default, as the options of the construct are called.
# Why it matters here: docs/attach.md shows this construct, and the error names neither the integration nor the word.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts aws-cdk-lib@2.276.0 constructs@10.8.1

cat >seen.js <<'JS'
const { App, Stack } = require('aws-cdk-lib');
const { WebSocketApi } = require('aws-cdk-lib/aws-apigatewayv2');
const { WebSocketLambdaIntegration } = require('aws-cdk-lib/aws-apigatewayv2-integrations');
const { Code, Function, Runtime } = require('aws-cdk-lib/aws-lambda');

const app = new App();
const stack = new Stack(app, 'Api');
const code = Code.fromInline('def handler(event, context): pass');
const backend = new Function(stack, 'Backend', { runtime: Runtime.PYTHON_3_13, handler: 'index.handler', code });
const integration = new WebSocketLambdaIntegration(process.argv[2], backend);
new WebSocketApi(stack, 'Api', { defaultRouteOptions: { integration } });
try {
  app.synth();
  console.log('synthesized');
} catch (error) {
  console.log(error.message.includes('already contains') ? 'already contains' : error.message);
}
JS
echo "expected for Message and for Default: synthesized"
message=$(node seen.js Message 2>/dev/null)
default=$(node seen.js Default 2>/dev/null)
echo "seen for Message: $message"
echo "seen for Default: $default"

if [ "$message" != synthesized ] || [ "$default" != "already contains" ]; then
    echo "CHANGED: CDK treats the word Default in another way"
    exit 1
fi
echo "as seen: an integration called Default takes the logical id of its route"
