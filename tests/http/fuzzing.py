"""What the fuzzer is told beside the document.

The fuzzer's own check wants whatever fits the schemas to be accepted. A cursor that nobody gave and a password that is too easy
fit them, too; so only those refusals count that say the schemas do not fit.
"""

import schemathesis
from schemathesis.generation import GenerationMode

NOT_AS_DESCRIBED = {"QUERY_INVALID", "BODY_INVALID", "BODY_JSON", "CONTENT_TYPE", "INPUT_UNKNOWN"}


@schemathesis.check
def what_fits_the_schemas_is_not_refused_for_its_form(ctx, response, case):
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if response.status_code in (400, 415, 422):
        code = response.json().get("error_code")
        assert code not in NOT_AS_DESCRIBED, f"{code} for what the schemas allow"
