"""Real Djblets' answers about policies and generated tokens, for the tests that hold ours against them.

JSON lines in on stdin, JSON lines out on stdout, one answer a line, in order, flushed each time. The versions that are
needed stand in tests/src/python.rs. There is no database.

A question names its operation in `op`. Several cases go into one question, since there are many:

    validate_policies  documents, resources     -> {"answers": [null | {"invalid": message} | {"error": "..."}, ...]}
                       resources: the ids that the API has
    allows             cases: [[policy, [[resource, method, id or null], ...]], ...]
                                                -> {"answers": [[bool, ...], ...]}
    create_tokens      generator, token_info, count
                                                -> {"tokens": [...]} | {"missing": message}
    validate_tokens    generator, token_info, tokens
                                                -> {"answers": [bool, ...]}

Keys of objects are put in order, so that of several faults the first is the same for everyone. Whatever else goes wrong
is answered, too: {"error": "ValueError: ..."}.
"""

import json
import sys

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sites"],
    SECRET_KEY="secret",
    USE_I18N=False,
    USE_TZ=True,
)
django.setup()

from django.core.exceptions import ValidationError
from djblets.secrets.token_generators import token_generator_registry
from djblets.webapi.errors import PERMISSION_DENIED
from djblets.webapi.models import BaseWebAPIToken
from djblets.webapi.resources.mixins.api_tokens import ResourceAPITokenMixin


def main():
    sys.stdin.reconfigure(encoding="utf-8")
    for line in sys.stdin:
        try:
            question = json.loads(line, object_pairs_hook=lambda pairs: dict(sorted(pairs)))
            answer = OPERATIONS[question["op"]](question)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def validate_policies(question):
    model = model_with(question["resources"])
    return {"answers": [validated(model, document) for document in question["documents"]]}


def validated(model, document):
    try:
        model.validate_policy(document)
    except ValidationError as invalid:
        return {"invalid": str(invalid.message)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return None


def model_with(resources):
    """The model of an API's tokens, whose resources hang on each other in both ways."""

    class Resource:
        def __init__(self, policy_id, list_child_resources=(), item_child_resources=()):
            self.policy_id = policy_id
            self.list_child_resources, self.item_child_resources = list_child_resources, item_child_resources

    class Root:
        list_child_resources = [Resource(policy_id) for policy_id in resources[:1]]
        item_child_resources = [Resource("between", item_child_resources=[Resource(i) for i in resources[1:]])]

    class Token(BaseWebAPIToken):
        class Meta:
            abstract = True

        @classmethod
        def get_root_resource(cls):
            return Root

    return Token


def allows(question):
    return {"answers": [[allowed(policy, *asked) for asked in requests] for policy, requests in question["cases"]]}


class Viewed:
    """Instead of the rest of a resource: whoever gets here is let in."""

    def call_method_view(self, request, method, view, *args, **kwargs):
        return "let in"


class Resource(ResourceAPITokenMixin, Viewed):
    uri_object_key = "resource_id"

    def __init__(self, name):
        self.name = name


class Request:
    def __init__(self, policy):
        self._webapi_token = type("Token", (), {"policy": policy})


def allowed(policy, resource, method, resource_id):
    named = {} if resource_id is None else {"resource_id": resource_id}
    answer = Resource(resource).call_method_view(Request(policy), method, None, **named)
    assert answer in ("let in", PERMISSION_DENIED), answer
    return answer == "let in"


def create_tokens(question):
    generator = token_generator_registry.get_token_generator(question["generator"])
    token_info = question["token_info"]
    if "user" in token_info:
        token_info["user"] = type("User", (), token_info["user"])
    try:
        return {"tokens": [generator.create_token(token_info) for _ in range(question["count"])]}
    except KeyError as missing:
        return {"missing": str(missing.args[0])}


def validate_tokens(question):
    generator = token_generator_registry.get_token_generator(question["generator"])
    return {"answers": [generator.validate_token(token, question["token_info"]) for token in question["tokens"]]}


OPERATIONS = {
    "validate_policies": validate_policies,
    "allows": allows,
    "create_tokens": create_tokens,
    "validate_tokens": validate_tokens,
}


if __name__ == "__main__":
    main()
