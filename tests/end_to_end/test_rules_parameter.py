"""The rules in a Systems Manager parameter, read by the deployed function itself."""

from local.calls import call_http
from local.deployment import ALIAS, Deployment

RULES = 'default = "deny"\n[[rule]]\nname = "everybody"\nroutes = ["GET /me"]\n'


def test_a_parameter_takes_the_place_of_the_files_rules(deployment: Deployment) -> None:
    ssm = deployment.aws.client("ssm")
    ssm.put_parameter(Name="/hanko/rules", Type="String", Value=RULES)
    outputs = deployment.deploy_authorizer("with-parameter", HankoRulesParameter="/hanko/rules")
    api = deployment.aws.deploy("examples/rest-token.yaml", "rest-with-parameter", {ALIAS: outputs[ALIAS]})
    url = deployment.aws.rest_url(api["ApiId"], api["StageName"])
    admin = {"Authorization": f"Bearer {deployment.hanko.mint(claims={'role': 'admin'})}"}
    assert [call_http(f"{url}{path}", admin).status for path in ("/me", "/admin/x", "/me")] == [200, 403, 200]

    ssm.put_parameter(Name="/hanko/rules", Type="String", Value="default = 'maybe'", Overwrite=True)
    deployment.aws.new_sandbox(outputs[ALIAS])
    other = {"Authorization": f"Bearer {deployment.hanko.mint()}"}
    assert call_http(f"{url}/me", other).status == 500  # wrong rules: the function does not start
