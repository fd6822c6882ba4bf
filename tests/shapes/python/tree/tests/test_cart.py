from shop.cart import total


def test_it_adds() -> None:
    assert total([1.0, 2.0]) == 3.0
