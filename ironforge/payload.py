"""A handler's signature is its schema: arguments to a JSON object and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PydanticSchemaGenerationError,
    ValidationError,
    create_model,
)

from ironforge.context import Context
from ironforge.errors import Finding, InvalidPayload

_WHOLE = "payload"


class Signature:
    """What a handler takes, its leading Context left out.

    Three forms: ordinary parameters (a member each), one pydantic model (the whole payload), or one parameter named
    `payload` annotated as a dict (the whole payload, unchecked).

    Raises:
        TypeError: the signature cannot be a payload; the message says which parameter.
    """

    def __init__(self, kind: str, function: Callable[..., Any]) -> None:
        self.kind = kind
        parameters = _parameters(kind, function)
        self.takes_context = bool(parameters) and parameters[0].annotation is Context
        if self.takes_context:
            parameters = parameters[1:]
        self._names = [parameter.name for parameter in parameters]
        self._fields = [(name, f"p{at}") for at, name in enumerate(self._names)]
        self._call = inspect.Signature(parameters)
        self._whole: type[BaseModel] | None = None
        self._raw = False
        self._model: type[BaseModel] | None = None
        only = parameters[0] if len(parameters) == 1 else None
        if only and only.name == _WHOLE and _is_dict(only.annotation):
            self._raw = True
        elif only and isinstance(only.annotation, type) and issubclass(only.annotation, BaseModel):
            self._whole = only.annotation
        else:
            self._model = _model(kind, parameters)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The payload of a call. Raises InvalidPayload."""
        try:
            bound = self._call.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidPayload(f"{self.kind}: {error}") from None
        if self._raw:
            return dict(bound.arguments[_WHOLE])
        if self._whole:
            given = bound.arguments[self._names[0]]
            try:
                return self._whole.model_validate(given).model_dump(mode="json")
            except ValidationError as error:
                raise _invalid(self.kind, error) from None
        return self._checked(bound.arguments).model_dump(mode="json", by_alias=True, exclude_unset=True)

    def arguments(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments for the handler. Raises InvalidPayload with a pointer for each mistake."""
        if not (payload or self._names):  # nothing given, nothing taken
            return {}
        if self._raw:
            return {_WHOLE: payload}
        if self._whole:
            try:
                return {self._names[0]: self._whole.model_validate(payload)}
            except ValidationError as error:
                raise _invalid(self.kind, error) from None
        checked = self._checked(payload)
        return {name: getattr(checked, field) for name, field in self._fields}

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the payload."""
        if self._raw:
            return {"type": "object"}
        return cast("type[BaseModel]", self._whole or self._model).model_json_schema()

    def _checked(self, values: Mapping[str, Any]) -> BaseModel:
        assert self._model
        try:
            return self._model.model_validate(values)
        except ValidationError as error:
            raise _invalid(self.kind, error) from None


def _parameters(kind: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(function, eval_str=True).parameters.values())
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(
                f"{kind}: parameter {parameter} cannot be a member of a JSON payload; name each one"
            )
    return parameters


def _is_dict(annotation: Any) -> bool:
    return annotation is dict or getattr(annotation, "__origin__", None) in (dict, Mapping)


def _model(kind: str, parameters: list[inspect.Parameter]) -> type[BaseModel]:
    """Fields are named p0, p1, … under aliases, so that a parameter may be called `json` or `model_config`."""
    fields: dict[str, Any] = {}
    for at, parameter in enumerate(parameters):
        annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[f"p{at}"] = (annotation, Field(default, alias=parameter.name, title=parameter.name))
    try:
        return create_model(kind, __config__=ConfigDict(extra="forbid"), **fields)
    except PydanticSchemaGenerationError as error:
        raise TypeError(
            f"{kind}: a parameter's type cannot come from JSON: {str(error).splitlines()[0]}"
        ) from None


def _invalid(kind: str, error: ValidationError) -> InvalidPayload:
    found: list[Finding] = [
        {"pointer": "/" + "/".join(str(part) for part in one["loc"]), "detail": one["msg"]}
        for one in error.errors()
    ]
    words = "; ".join(f"{one['pointer']}: {one['detail']}" for one in found[:5])
    return InvalidPayload(f"the payload does not fit {kind}: {words}", found)
