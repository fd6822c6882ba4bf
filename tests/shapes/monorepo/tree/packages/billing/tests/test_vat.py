import unittest

from vat import RATES


class Vat(unittest.TestCase):
    def test_there_are_rates(self):
        self.assertIsInstance(RATES, dict)
