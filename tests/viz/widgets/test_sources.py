"""Names in the menus of the explorer."""

from helpers.own import leaves

from seglab import load_dataset, load_model
from seglab.viz.widgets.sources import data_sources, model_sources


def test_names_of_data(tmp_path, monkeypatch):
    first, second = (leaves(tmp_path / parent / "my leaves") for parent in "ab")
    sources = data_sources([first, second, "toytown:night test", "toytown", load_dataset("toytown", "val").subset([0])])
    assert list(sources) == ["my leaves", "my leaves (2)", "toytown:night test", "toytown", "toytown val"]
    assert [source.load().root for source in sources.values()][:2] == [first, second]
    assert len(sources["toytown val"].load()) == 1
    assert [source.code for source in sources.values()] == [
        f"load_dataset({str(first)!r})", f"load_dataset({str(second)!r})", "load_dataset('toytown:night', 'test')",
        "load_dataset('toytown')", None,
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path / "a")
    assert list(data_sources("my leaves")) == ["my leaves"], "a folder with a space in its name is one path"


def test_names_of_models_and_what_is_copied():
    model = load_model("lraspp_mini:toytown", device="cpu")
    assert list(model_sources([model, model, "unet_mini"])) == [model.label, f"{model.label} (2)", "unet_mini"]
    assert list(model_sources({"a (2)": model, "a": "unet_mini"})) == ["a (2)", "a"]
    own = model_sources(model)[model.label].load()
    own.short = 7
    assert model.short != 7
    assert own.net is model.net
