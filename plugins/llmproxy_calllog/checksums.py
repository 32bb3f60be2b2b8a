"""Numbers that prove themselves: payment cards and bank accounts."""

from __future__ import annotations

from typing import Final

#: How long an account number is in each country (the IBAN registry of ISO 13616).
_COUNTRIES_BY_LENGTH: Final = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL FK SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK MN",
    21: "CH CR HR LI LV",
    22: "BG BH DE GB GE IE ME RS",
    23: "AE GI IL IQ OM TL SO",
    24: "AD CZ DZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BF BI CG CM DJ FR GR IT MC MG MR SM",
    28: "AL AZ BJ BY CI CY DO GT HU LB ML NI PL SN SV",
    29: "BR EG PS QA UA YE",
    30: "JO KW MU",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_IBAN_LENGTHS: Final = {
    country: length for length, countries in _COUNTRIES_BY_LENGTH.items() for country in countries.split()
}
#: First digits of payment cards (ISO/IEC 7812): travel, banking, merchandising.
_CARD_STARTS: Final = frozenset("23456")


def is_card(digits: str) -> bool:
    """Whether digits may be a payment card's number: by its length, its first digit and Luhn's sum."""
    if not 13 <= len(digits) <= 19 or digits[0] not in _CARD_STARTS or len(set(digits)) == 1:
        return False
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    total = sum(map(int, digits[-1::-2])) + sum(number - 9 if number > 9 else number for number in doubled)
    return total % 10 == 0


def iban_length(text: str) -> int:
    """Return how many letters and digits at the start of `text` are an IBAN; 0 if none are (ISO 7064, mod 97-10)."""
    length = _IBAN_LENGTHS.get(text[:2].upper(), 0)
    if not length or len(text) < length or not (text.isascii() and text.isalnum()):
        return 0
    number = text[4:length] + text[:4]
    return length if int("".join(str(int(sign, 36)) for sign in number)) % 97 == 1 else 0
