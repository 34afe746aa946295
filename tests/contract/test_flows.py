"""The flows stand under the specification's names, with its parameters, tags and tasks."""

from __future__ import annotations

import importlib
import inspect

import pytest
from prefect import Flow, Task
from prefect.task_runners import ConcurrentTaskRunner
from tests.contract.specification import FLOWS, REQUIRED, FlowSpec

each_flow = pytest.mark.parametrize("spec", FLOWS, ids=lambda spec: spec.name)
each_task = pytest.mark.parametrize(
    ("spec", "task"),
    [(spec, task) for spec in FLOWS for task in spec.tasks],
    ids=lambda x: x if isinstance(x, str) else "",
)


def flow_of(spec: FlowSpec) -> Flow:
    return getattr(importlib.import_module(spec.module), spec.function)


@each_flow
def test_name_and_description(spec: FlowSpec) -> None:
    flow = flow_of(spec)
    assert isinstance(flow, Flow)
    assert (flow.name, flow.description) == (spec.name, spec.description)


@each_flow
def test_tags(spec: FlowSpec) -> None:
    assert tuple(flow_of(spec).tags) == spec.tags


@each_flow
def test_task_runner(spec: FlowSpec) -> None:
    if spec.task_runner == "ConcurrentTaskRunner":
        assert isinstance(flow_of(spec).task_runner, ConcurrentTaskRunner)


@each_flow
def test_parameters_and_defaults(spec: FlowSpec) -> None:
    taken = {
        name: REQUIRED if parameter.default is inspect.Parameter.empty else parameter.default
        for name, parameter in inspect.signature(flow_of(spec).fn).parameters.items()
    }
    assert list(taken.items()) == list(spec.parameters.items())


@each_flow
def test_flows_are_coroutine_functions(spec: FlowSpec) -> None:
    assert inspect.iscoroutinefunction(flow_of(spec).fn)


@each_task
def test_each_listed_task_exists_with_its_parameters(spec: FlowSpec, task: str) -> None:
    found = getattr(importlib.import_module(spec.module), task)
    assert isinstance(found, Task)
    assert found.name == task
    parameters = tuple(inspect.signature(found.fn).parameters)
    assert parameters[: len(spec.tasks[task])] == spec.tasks[task]
    extra = list(inspect.signature(found.fn).parameters.values())[len(spec.tasks[task]) :]
    assert all(each.default is not inspect.Parameter.empty for each in extra)
