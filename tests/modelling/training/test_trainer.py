import pytest

torch = pytest.importorskip("torch", reason='needs the extra "train"')

from efficient_empathy.modelling.training.trainer import QuickDropout, quicken  # noqa: E402


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_a_share_is_dropped_evenly_and_the_rest_is_scaled(p, dtype) -> None:
    torch.manual_seed(0)
    dropped = QuickDropout(p)(torch.ones(400, 1003, dtype=dtype))
    kept = dropped != 0
    assert (~kept).float().mean() == pytest.approx(p, abs=0.005)
    for lane in range(4):  # four decisions come from one draw
        assert (~kept.flatten()[lane::4]).float().mean() == pytest.approx(p, abs=0.01)
    neighbours = kept.flatten()[:-1] & kept.flatten()[1:]
    assert neighbours.float().mean() == pytest.approx((1 - p) ** 2, abs=0.01)
    assert dropped[kept].float().unique().tolist() == pytest.approx([1 / (1 - p)], rel=5e-3)


def test_the_gradient_goes_where_the_values_went_and_seeds_repeat() -> None:
    x = torch.randn(7, 33, requires_grad=True)
    torch.manual_seed(3)
    dropped = QuickDropout(0.3)(x)
    dropped.sum().backward()
    assert torch.equal(x.grad != 0, dropped != 0)
    torch.manual_seed(3)
    assert torch.equal(dropped, QuickDropout(0.3)(x))
    assert torch.equal(QuickDropout(0.3).eval()(x), x)


def test_a_models_dropouts_are_made_quick_in_place() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.25), torch.nn.Dropout(0.5, inplace=True))
    quicken(model)
    assert isinstance(model[1], QuickDropout)
    assert model[1].p == 0.25
    assert type(model[2]) is torch.nn.Dropout
