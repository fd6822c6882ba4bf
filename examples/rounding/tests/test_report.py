import unittest
from decimal import Decimal

from invoices.model import Invoice, Line
from invoices.report import report


class ReportTest(unittest.TestCase):
    def test_the_report_ends_with_the_amount_to_pay(self) -> None:
        line = Line(text="Desk lamp", quantity=Decimal(1), price=Decimal("42.90"), tax=Decimal(19))
        text = report(Invoice(number="7", customer="Rosa Mendes", lines=(line,)))
        self.assertEqual(text.splitlines()[-1].split(), ["To", "pay", "51.05"])


if __name__ == "__main__":
    unittest.main()
