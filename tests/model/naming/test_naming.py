"""Every rule of naming, on graphs written by hand."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from ckread.model.evidence import Evidence, ObjectGraph
from ckread.model.naming import identify
from ckread.model.role import Role
from ckread.readers.contract import DataType
from ckread.readers.graphs.object_graph import (
    Attribute,
    Child,
    SlotVariable,
    TrackableObject,
    TrackableObjectGraph,
)
from tests.graphs import SUFFIX, Optimizer, Var, items, make, record


def keras3_optimizer(*trained: Var, **lists: dict[str, Var]) -> dict[str, object]:
    """Give what a Keras 3 optimizer keeps: counters, its weights, lists of slots."""
    iterations = Var("adam/iteration", (), DataType.INT64)
    rate = Var("adam/learning_rate", ())
    slots = [slot for slot_list in lists.values() for slot in slot_list.values()]
    return {
        "_variables": items(iterations, rate, *slots),
        "_trainable_variables": items(*trained),
        "_iterations": iterations,
        "_learning_rate": rate,
        **lists,
    }


class TestWeights:
    """The table of names."""

    def test_functional(self) -> None:
        kernel = Var("stem/kernel")
        made = make(
            {
                "model": {"_operations": items({}, {"_kernel": kernel})},
                "optimizer": keras3_optimizer(kernel),
            }
        )
        assert made.keys[id(kernel)] == "optimizer/_trainable_variables/0" + SUFFIX
        assert made.of(kernel).name == "stem/kernel"
        assert made.of(kernel).paths == ("model/_operations/1/_kernel",)

    def test_sequential(self) -> None:
        mean = Var("sequential/norm/moving_mean", (4,))
        gamma = Var("sequential/norm/gamma", (4,))
        layer = {"gamma": gamma, "moving_mean": mean}
        made = make({"model": {"_functional": {"_operations": items({}, {}, layer)}}})
        assert made.of(mean).name == "sequential/norm/moving_mean"
        assert made.of(mean).role is Role.STATISTIC
        assert made.of(mean).trainable is False
        assert made.of(gamma).role is Role.WEIGHT

    def test_recurrent_cell(self) -> None:
        kernel = Var("rnn/lstm_cell/kernel")
        made = make({"model": {"_operations": items({}, {"cell": {"kernel": kernel}})}})
        assert made.of(kernel).name == "rnn/lstm_cell/kernel"

    def test_subclassed_and_built_on_call_takes_the_attribute_path(self) -> None:
        stem, head = Var("sub/kernel"), Var("sub/kernel")
        made = make({"model": {"a": {"_kernel": stem}, "head": {"_kernel": head}}})
        assert made.of(stem).name == "a/kernel"
        assert made.of(head).name == "head/kernel"

    def test_subclassed_with_build_keeps_the_full_name(self) -> None:
        stem, head = Var("sb/alpha/kernel"), Var("sb/beta/kernel")
        made = make({"model": {"a": {"_kernel": stem}, "b": {"_kernel": head}}})
        assert made.of(stem).name == "sb/alpha/kernel"

    def test_lazy_sequential_as_attribute_keeps_the_structure(self) -> None:
        kernels = [Var("t/kernel") for _ in range(4)]
        towers = [
            {"_functional": {"_operations": items({}, {"_kernel": a}, {"_kernel": b})}}
            for a, b in (kernels[:2], kernels[2:])
        ]
        made = make({"model": {"q": towers[0], "k": towers[1]}})
        assert [made.of(kernel).name for kernel in kernels] == [
            "q/_operations/1/kernel",
            "q/_operations/2/kernel",
            "k/_operations/1/kernel",
            "k/_operations/2/kernel",
        ]

    def test_layers_of_a_built_sequential_are_numbered_alike_in_a_saved_model(self) -> None:
        layer = {"_kernel": Var("t/kernel")}
        other = {"_kernel": Var("t/kernel")}
        sequential = {
            "_layers": items(layer, other),
            "_functional": {"_operations": items({}, layer, other)},
        }
        made = make({"q": sequential, "signatures": {}})
        assert made.of(layer["_kernel"]).name == "q/_operations/1/kernel"

    def test_two_models_keep_their_attribute(self) -> None:
        kernels = [Var("stem/kernel"), Var("stem/kernel")]
        made = make(
            {
                "generator": {"_operations": items({}, {"_kernel": kernels[0]})},
                "discriminator": {"_operations": items({}, {"_kernel": kernels[1]})},
            }
        )
        assert made.of(kernels[0]).name == "generator/stem/kernel"
        assert made.of(kernels[1]).name == "discriminator/stem/kernel"

    def test_keras2(self) -> None:
        kernel = Var("stem/kernel:0")
        layer = {"kernel": kernel}
        made = make({"model": {"layer-0": {}, "layer_with_weights-0": layer, "layer-1": layer}})
        assert made.keys[id(kernel)] == "model/layer_with_weights-0/kernel" + SUFFIX
        assert made.of(kernel).name == "stem/kernel"

    def test_sonnet(self) -> None:
        weights = [Var("mlp/linear_0/w"), Var("mlp/linear_1/w")]
        layers = items(*({"w": weight} for weight in weights))
        made = make({"module": {"_layers": layers}})
        assert [made.of(weight).name for weight in weights] == ["mlp/linear_0/w", "mlp/linear_1/w"]

    def test_sonnet_batch_norm(self) -> None:
        def average() -> dict[str, Var]:
            return {
                "_counter": Var("exponential_moving_average/counter", (), DataType.INT64),
                "_hidden": Var("exponential_moving_average/hidden"),
                "average": Var("exponential_moving_average/average"),
            }

        mean, variance = average(), average()
        scale = Var("batch_norm/scale")
        made = make({"module": {"moving_mean": mean, "moving_variance": variance, "scale": scale}})
        assert made.of(mean["_counter"]).name == "moving_mean/counter"
        assert made.of(mean["_counter"]).role is Role.COUNTER
        assert made.of(variance["_hidden"]).name == "moving_variance/hidden"
        assert made.of(variance["_hidden"]).role is Role.STATISTIC
        assert made.of(scale).name == "batch_norm/scale"

    def test_plain_checkpoint(self) -> None:
        w, n = Var("Variable"), Var("Variable", (), DataType.INT32)
        made = make({"w": w, "n": n})
        assert made.of(w) == ("w", Role.WEIGHT, None, None, None, (), ())
        assert made.of(n) == ("n", Role.OTHER, None, None, None, (), ())

    def test_list_of_variables_with_default_names(self) -> None:
        made = make({"layers": items(Var("Variable"), Var("Variable_1"))})
        assert list(made.names().values()) == ["layers/0", "layers/1"]

    def test_agents_policy(self) -> None:
        kernel = Var("ActorNetwork/Encoding/dense/kernel")
        made = make({"model_variables": items(kernel), "signatures": {}})
        assert made.of(kernel).name == "ActorNetwork/Encoding/dense/kernel"

    def test_escaped_local_names(self) -> None:
        odd, plain = Var("Variable"), Var("Variable")
        made = make({"net": {"a.b": {"x/y": odd}, "c": {"w.S": plain}}})
        assert made.keys[id(odd)] == "net/a..b/x.Sy" + SUFFIX
        assert made.of(odd).name == "a.b/x/y"
        assert made.of(plain).name == "c/w.S"

    def test_full_name_of_the_saved_model_where_the_graph_has_none(self) -> None:
        variable = SimpleNamespace(name="dense/kernel:0", trainable=True)
        saved = SimpleNamespace(variables={2: variable})
        kernel = Var("")
        made = make({"model_variables": items(kernel)})
        assert made.names()["model_variables/0"] == "model_variables/0"
        assert made.of(kernel, saved_model=saved).name == "dense/kernel"
        assert made.of(kernel, saved_model=saved).trainable is True


class TestOptimizers:
    """Slots, counters and hyperparameters."""

    def test_keras3_lists(self) -> None:
        kernel, bias = Var("stem/kernel"), Var("stem/bias", (2,))
        slots = [Var(f"adam/stem_{word}_momentum", v.shape) for word, v in
                 (("kernel", kernel), ("bias", bias))]  # fmt: skip
        made = make(
            {
                "model": {"_operations": items({}, {"_kernel": kernel, "bias": bias})},
                "optimizer": keras3_optimizer(kernel, bias, _momentums=items(*slots)),
            }
        )
        assert made.of(slots[1]) == (
            "optimizer/stem/bias/momentum", Role.SLOT, None, "stem/bias", "momentum", (), (),
        )  # fmt: skip
        names = made.names()
        assert names["optimizer/_iterations"] == "optimizer/iterations"
        assert names["optimizer/_learning_rate"] == "optimizer/learning_rate"
        assert made.of(kernel).trainable is True

    def test_names_do_not_depend_on_where_the_optimizer_is(self) -> None:
        def compiled(*, beside: bool) -> set[str]:
            kernel = Var("stem/kernel")
            slot = Var("adam/stem_kernel_momentum")
            optimizer = keras3_optimizer(kernel, _momentums=items(slot))
            model = {"_operations": items({}, {"_kernel": kernel}), "optimizer": optimizer}
            root = {"model": model, "optimizer": optimizer} if beside else {"model": model}
            return set(make(root).names().values())

        assert compiled(beside=True) == compiled(beside=False) == {
            "stem/kernel", "optimizer/iterations", "optimizer/learning_rate",
            "optimizer/stem/kernel/momentum",
        }  # fmt: skip

    def test_average_of_keras(self) -> None:
        kernel, average = Var("stem/kernel"), Var("adam/stem_kernel_average")
        lists = {"_model_variables_moving_average": items(average)}
        made = make(
            {"model": {"l": {"_kernel": kernel}}, "optimizer": keras3_optimizer(kernel, **lists)}
        )
        assert made.of(average).role is Role.AVERAGE
        assert made.of(average).owner == "l/kernel"

    def test_adafactor_by_order(self) -> None:
        kernel, bias = Var("l/kernel", (3, 2)), Var("l/bias", (2,))
        slots = [
            Var("adafactor/kernel", (3,)), Var("adafactor/kernel", (2,)),
            Var("adafactor/l_kernel_velocity", (3, 2)),
            Var("adafactor/bias", ()), Var("adafactor/bias", ()),
            Var("adafactor/l_bias_velocity", (2,)),
        ]  # fmt: skip
        optimizer = keras3_optimizer(kernel, bias)
        optimizer["_variables"].update({str(i + 2): slot for i, slot in enumerate(slots)})  # type: ignore[attr-defined]
        model = {"_operations": items({}, {"_kernel": kernel, "bias": bias})}
        made = make({"model": model, "optimizer": optimizer})
        assert [(made.of(slot).owner, made.of(slot).slot) for slot in slots] == [
            ("l/kernel", "r"), ("l/kernel", "c"), ("l/kernel", "v"),
            ("l/bias", "r"), ("l/bias", "c"), ("l/bias", "v"),
        ]  # fmt: skip

    def test_muon_by_walking(self) -> None:
        """One slot or two per weight, told by name stem and shape."""
        weights = [Var("a/kernel", (3, 2)), Var("b/kernel", (3, 2)), Var("b/bias", (2,))]
        slots = [
            Var("muon/a_kernel_momentum", (3, 2)), Var("muon/a_kernel_velocity", (3, 2)),
            Var("muon/b_kernel_momentum", (3, 2)),
            Var("muon/b_bias_momentum", (2,)), Var("muon/b_bias_velocity", (2,)),
        ]  # fmt: skip
        optimizer = keras3_optimizer(*weights)
        optimizer["_variables"].update({str(i + 2): slot for i, slot in enumerate(slots)})  # type: ignore[attr-defined]
        layers = items({"_kernel": weights[0]}, {"_kernel": weights[1], "bias": weights[2]})
        made = make({"model": {"_operations": layers}, "optimizer": optimizer})
        assert [(made.of(slot).owner, made.of(slot).slot) for slot in slots] == [
            ("a/kernel", "momentum"), ("a/kernel", "velocity"), ("b/kernel", "momentum"),
            ("b/bias", "momentum"), ("b/bias", "velocity"),
        ]  # fmt: skip

    def test_loss_scale_wraps_an_optimizer(self) -> None:
        kernel, slot = Var("stem/kernel"), Var("loss_scale_optimizer/adam/stem_kernel_momentum")
        inner = keras3_optimizer(kernel, _momentums=items(slot))
        outer = keras3_optimizer(kernel)
        outer["inner_optimizer"] = inner
        outer["dynamic_scale"] = Var("loss_scale_optimizer/dynamic_scale", ())
        outer["step_counter"] = Var("loss_scale_optimizer/step_counter", (), DataType.INT64)
        made = make({"model": {"l": {"_kernel": kernel}}, "optimizer": outer})
        assert made.of(slot).name == "optimizer/inner_optimizer/l/kernel/momentum"
        names = set(made.names().values())
        assert {"optimizer/iterations", "optimizer/inner_optimizer/iterations"} <= names
        assert made.of(outer["dynamic_scale"]).role is Role.HYPERPARAMETER  # type: ignore[arg-type]
        assert made.of(outer["step_counter"]).role is Role.COUNTER  # type: ignore[arg-type]

    def test_slot_variables_of_keras2(self) -> None:
        kernel, frozen = Var("stem/kernel"), Var("head/kernel")
        slot = Var("Adam/stem/kernel/m")
        optimizer = Optimizer({"iter": Var("Adam/iter", (), DataType.INT64)}, [(kernel, "m", slot)])
        layers = {"layer_with_weights-0": {"kernel": kernel}}
        layers["layer_with_weights-1"] = {"kernel": frozen}
        made = make({**layers, "optimizer": optimizer})
        assert ".OPTIMIZER_SLOT" in made.keys[id(slot)]
        assert made.of(slot) == (
            "optimizer/stem/kernel/m", Role.SLOT, None, "stem/kernel", "m", (), (),
        )  # fmt: skip
        assert made.of(kernel).trainable is True
        assert made.of(frozen).trainable is False

    def test_full_names_of_keras2s_new_optimizers(self) -> None:
        kernel = Var("stem/kernel")
        slots = [Var("Adam/m/stem/kernel"), Var("v/stem/kernel")]
        iterations = Var("iteration", (), DataType.INT64)
        optimizer = {"_variables": items(iterations, *slots), "_iterations": iterations}
        made = make({"layer_with_weights-0": {"kernel": kernel}, "optimizer": optimizer})
        assert [(made.of(slot).owner, made.of(slot).slot) for slot in slots] == [
            ("stem/kernel", "m"), ("stem/kernel", "v"),
        ]  # fmt: skip

    def test_a_slot_whose_weight_cannot_be_told_has_no_owner(self) -> None:
        kernel, stranger = Var("stem/kernel"), Var("adam/unknown", (9, 9))
        optimizer = keras3_optimizer(kernel)
        optimizer["_variables"]["2"] = stranger  # type: ignore[index]
        made = make({"model": {"l": {"_kernel": kernel}}, "optimizer": optimizer})
        assert made.of(stranger).owner is None
        assert made.of(stranger).role is Role.OTHER


class TestOnlyTheOptimizer:
    """Layers in a Python list, which Keras 3 does not save."""

    def test_name_from_the_slots(self) -> None:
        kernel, slot = Var("sub/kernel"), Var("adam/sub_tower_left_kernel_momentum")
        held = Var("sub/kernel")
        optimizer = keras3_optimizer(held, kernel, _momentums=items(Var(), slot))
        made = make({"model": {"a": {"_kernel": held}}, "optimizer": optimizer})
        assert made.of(kernel).name == "tower_left/kernel"
        assert made.of(slot).name == "optimizer/tower_left/kernel/momentum"
        assert made.of(kernel).paths == ()

    def test_without_slots_the_number(self) -> None:
        held, lost = Var("sub/kernel"), Var("sub/kernel")
        optimizer = keras3_optimizer(held, lost)
        made = make({"model": {"a": {"_kernel": held}}, "optimizer": optimizer})
        assert made.of(lost).name == "_trainable_variables/1/kernel"

    def test_telling_full_name(self) -> None:
        lost = Var("sub/left/kernel")
        made = make({"model": {}, "optimizer": keras3_optimizer(lost)})
        assert made.of(lost).name == "sub/left/kernel"


class TestAliases:
    """Keras 3's `export()`."""

    def test_pairs_one_to_one(self) -> None:
        """Two untrained biases of one name and value each have an alias of their own."""
        originals = [Var("sub/bias", (2,), crc32c=7), Var("sub/bias", (2,), crc32c=7)]
        copies = [Var("sub/bias", (2,), crc32c=7), Var("sub/bias", (2,), crc32c=7)]
        made = make({"variables": items(*originals), "_all_variables": items(*copies)})
        assert [made.of(v).role for v in originals] == [Role.WEIGHT, Role.WEIGHT]
        assert [made.of(v).role for v in copies] == [Role.ALIAS, Role.ALIAS]
        assert [made.of(v).owner for v in copies] == ["variables/0/bias", "variables/1/bias"]

    def test_what_differs_is_no_alias(self) -> None:
        original = Var("d/bias", (2,), crc32c=7)
        for other in (
            Var("d/bias", (2,), crc32c=8),
            Var("d/bias", (2, 1), crc32c=7),
            Var("e/bias", (2,), crc32c=7),
            Var("d/bias", (2,), DataType.FLOAT16, crc32c=7),
        ):
            made = make({"variables": items(original), "_all_variables": items(other)})
            assert made.of(other).role is Role.WEIGHT

    def test_without_checksums_an_ambiguous_owner_is_none(self) -> None:
        originals = [Var("sub/bias", (2,), crc32c=None) for _ in range(2)]
        copies = [Var("sub/bias", (2,), crc32c=None) for _ in range(2)]
        made = make({"variables": items(*originals), "_all_variables": items(*copies)})
        assert [made.of(v).role for v in copies] == [Role.ALIAS, Role.ALIAS]
        assert [made.of(v).owner for v in copies] == [None, None]

    def test_root_lists_tell_what_is_trainable(self) -> None:
        trained, frozen = Var("a/kernel"), Var("b/kernel")
        made = make(
            {
                "variables": items(trained, frozen),
                "trainable_variables": items(trained),
                "non_trainable_variables": items(frozen),
            }
        )
        assert made.of(trained).trainable is True
        assert made.of(frozen).trainable is False


class TestUnique:
    """Rule 9."""

    def test_sharing_takes_the_key_path(self) -> None:
        first, second = Var("Variable"), Var("Variable")
        made = make({"net": {"_w": first, "w": second}})
        assert (made.of(first).name, made.of(second).name) == ("net/_w", "net/w")

    def test_a_taken_key_path_is_numbered(self) -> None:
        tensors = {key: record(key, Var()) for key in ("a" + SUFFIX, "a")}
        names = [identity.name for identity in identify(tensors, Evidence()).values()]
        assert names == ["a", "a (2)"]


NAMES = st.sampled_from(
    ["a", "b", "0", "1", "_kernel", "kernel", "_operations", "optimizer", "variables", "x/y",
     "_trainable_variables", "_variables", "_iterations", "model", "_momentums", "_all_variables"]
)  # fmt: skip
FULL_NAMES = st.sampled_from(["", "Variable", "s/kernel", "s/t/kernel", "adam/s_kernel_momentum"])
VARIABLES = st.builds(Var, FULL_NAMES, st.sampled_from([(), (2,), (3, 2)]))
OBJECTS = st.recursive(
    st.dictionaries(NAMES, VARIABLES, max_size=4),
    lambda inner: st.dictionaries(NAMES, inner | VARIABLES, max_size=4),
    max_leaves=12,
)


@given(OBJECTS)
@settings(max_examples=300, deadline=None)
def test_names_are_unique_in_any_graph(root: dict[str, object]) -> None:
    made = make(root)
    identities = made.identities()
    assert identities.keys() == made.tensors.keys()
    names = [identity.name for identity in identities.values()]
    assert len(set(names)) == len(names)
    assert all(names)
    for identity in identities.values():
        if identity.owner is not None:
            assert identity.owner in names


@given(OBJECTS)
@settings(max_examples=100, deadline=None)
def test_names_are_unique_without_the_graph(root: dict[str, object]) -> None:
    identities = identify(make(root).tensors, Evidence())
    names = [identity.name for identity in identities.values()]
    assert len(set(names)) == len(names)


KEYS = st.sampled_from(["a", "optimizer/_variables/2", "optimizer/_trainable_variables/0", "v"])
IDS = st.integers(0, 7)
ANY_IDS = st.integers(-3, 99)
NODES = st.builds(
    TrackableObject,
    st.lists(st.builds(Child, IDS, NAMES), max_size=5).map(tuple),
    st.lists(
        st.builds(
            Attribute,
            st.sampled_from(["VARIABLE_VALUE", "OTHER"]),
            FULL_NAMES,
            KEYS.map(lambda key: key + SUFFIX),
        ),
        max_size=2,
    ).map(tuple),
    st.lists(st.builds(SlotVariable, ANY_IDS, NAMES, ANY_IDS), max_size=2).map(tuple),
)


@given(st.lists(NODES, min_size=8, max_size=8), st.sets(KEYS))
@settings(max_examples=300, deadline=None)
def test_any_message_gives_every_key_an_identity(
    nodes: list[TrackableObject], keys: set[str]
) -> None:
    """Shared keys, variables with children, slots of nowhere, cycles: nothing is refused."""
    graph = ObjectGraph.from_message(TrackableObjectGraph(tuple(nodes)))
    tensors = {key + SUFFIX: record(key + SUFFIX, Var()) for key in sorted(keys)}
    identities = identify(tensors, Evidence(graph=graph))
    assert identities.keys() == tensors.keys()
    assert len({identity.name for identity in identities.values()}) == len(tensors)


def test_a_hundred_thousand_nodes() -> None:
    """Fifty thousand layers of one weight each, all alike but for their names."""
    layers = {f"layer_{i}": {"_kernel": Var("model/kernel")} for i in range(50_000)}
    layers["layer_0"]["root"] = layers  # type: ignore[assignment]
    made = make({"model": layers})
    assert len(made.graph) == 100_002
    names = set(made.names().values())
    assert len(names) == 50_000
    assert "layer_49999/kernel" in names


def test_one_variable_in_two_places_is_tied() -> None:
    kernel, copy = Var("enc/kernel"), Var("other/kernel")
    tied = make({"enc": {"w": kernel}, "dec": {"w": kernel}, "other": {"w": copy}})
    identity = tied.of(kernel)
    assert (identity.name, identity.paths, identity.tied) == ("enc/w", ("dec/w",), ("dec/w",))
    assert tied.of(copy).tied == ()
