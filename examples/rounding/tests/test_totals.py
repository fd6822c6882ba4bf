import unittest
from decimal import Decimal

from invoices.model import Invoice, Line
from invoices.totals import totals


def invoice(*lines: Line) -> Invoice:
    return Invoice(number="1", customer="Rosa Mendes", lines=lines)


def line(quantity: str, price: str, tax: str, discount: str = "0") -> Line:
    return Line(
        text="something",
        quantity=Decimal(quantity),
        price=Decimal(price),
        tax=Decimal(tax),
        discount=Decimal(discount),
    )


class TotalsTest(unittest.TestCase):
    def test_tax_is_added_to_the_net_amount(self) -> None:
        self.assertEqual(totals(invoice(line("2", "10.00", "19"))).gross, Decimal("23.80"))

    def test_tax_is_summed_for_each_rate(self) -> None:
        sums = totals(invoice(line("1", "100.00", "19"), line("1", "100.00", "5"), line("1", "20.00", "5")))
        self.assertEqual(sums.tax, {Decimal("5"): Decimal("6.00"), Decimal("19"): Decimal("19.00")})

    def test_a_discount_lowers_the_net_amount(self) -> None:
        self.assertEqual(totals(invoice(line("1", "50.00", "0", discount="10"))).net, Decimal("45.00"))

    def test_half_a_cent_of_tax_is_rounded_up(self) -> None:
        self.assertEqual(totals(invoice(line("3", "3.50", "5"))).tax[Decimal("5")], Decimal("0.53"))


if __name__ == "__main__":
    unittest.main()
