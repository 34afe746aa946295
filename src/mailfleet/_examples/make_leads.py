"""Writes leads.csv, leads.faults.json and suppressions.csv: the same bytes every time.

    python examples/make_leads.py            writes them beside this file
    python examples/make_leads.py --check    exits 1 if the files are not what this script writes

Everybody and everything in them is invented. Every company's domain ends in `-zqx`, every free-mail address
begins with `invented.`; nothing here is ever written to: the demo's vendors and receivers run on this machine.
"""

import argparse
import csv
import io
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

SEED = 20260302
ROWS = 1000
NEWEST = datetime(2026, 2, 27, tzinfo=UTC)
COLUMNS = (
    "Email Address", "First Name", "Last Name", "Company", "Job Title", "Website", "Phone", "City", "Country",
    "Source", "Evidence URL", "Captured At", "Legal Basis", "Relevance", "No Marketing Statement",
)  # fmt: skip

FIRST_NAMES = (
    "Aaron", "Aisha", "Alana", "Amara", "Andrew", "Angus", "Anika", "Ashleigh", "Brendan", "Bridget", "Callum",
    "Caitlin", "Chloé", "Connor", "Daniela", "Darcy", "David", "Deepika", "Eleni", "Eloise", "Ethan", "Fatima",
    "Fergus", "Freya", "Gemma", "Giulia", "Grace", "Hamish", "Harriet", "Hiroshi", "Imogen", "Isla", "Jarrah",
    "Jasmine", "Joanne", "José", "Kiara", "Kirra", "Lachlan", "Leila", "Liam", "Łukasz", "Madeleine", "Marcus",
    "Mei", "Mitchell", "Nadia", "Ngaire", "Nikhil", "Noah", "Oscar", "Patrick", "Phoebe", "Priya", "Quentin",
    "René", "Rhiannon", "Rohan", "Rosa", "Samuel", "Saoirse", "Siobhán", "Sofía", "Stefan", "Tahlia", "Thanh",
    "Tobias", "Una", "Vikram", "Wendy", "Xavier", "Yusuf", "Zara", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Abbott", "Aguilar", "Baxter", "Beaumont", "Björk", "Brennan", "Calder", "Castellano", "Chandra", "Coombes",
    "D'Arcy", "Dlamini", "Doyle", "Eastwick", "Fairweather", "Farrugia", "Fitzgerald", "Gallagher", "García",
    "Georgiou", "Halloran", "Haddad", "Hargreave", "Hughes", "Ibáñez", "Ishikawa", "Jovanović", "Kapoor",
    "Kaminski", "Kelleher", "Kowalski", "Lambert", "Larsen", "Le", "Lindqvist", "Macallan", "Mackay", "Marino",
    "McBride", "Mehta", "Moreau", "Müller", "Nakamura", "Nguyen", "Novák", "O'Connell", "O'Shea", "Okafor",
    "Papadopoulos", "Patel", "Pemberton", "Petrov", "Quigley", "Ramsay", "Rossi", "Santos", "Singh", "Söderberg",
    "Stavros", "Sutherland", "Tanaka", "Tran", "Underhill", "Vandenberg", "Wang", "Whitlock", "Yilmaz", "Zammit",
)  # fmt: skip
WORD_STARTS = (
    "Quor", "Brin", "Tamb", "Vell", "Marr", "Osk", "Pellu", "Drav", "Fenn", "Glist", "Hox", "Izar", "Jund", "Kelv",
    "Lorr", "Myx", "Nalt", "Orb", "Prax", "Rund", "Skell", "Thrup", "Ulv", "Wex", "Yarl", "Zind",
)  # fmt: skip
WORD_ENDS = (
    "adine", "avo", "belo", "cresk", "dalu", "ember", "fiora", "gantry", "holt", "indle", "jara", "kett", "lumo",
    "mira", "nook", "olant", "perra", "quist", "rivo", "stane", "tova", "umber", "vandy", "wick", "yolle", "zeno",
)  # fmt: skip
TRADES = (
    ("Joinery", "workshop"), ("Electrical", "field crew"), ("Plumbing", "field crew"), ("Civil", "site team"),
    ("Landscapes", "site team"), ("Roofing", "field crew"), ("Refrigeration", "service desk"),
    ("Fire Protection", "service desk"), ("Scaffolding", "yard"), ("Surveying", "field crew"),
    ("Freight", "depot"), ("Packaging", "plant"), ("Engineering", "project office"), ("Glazing", "workshop"),
    ("Solar", "installation team"), ("Facilities", "service desk"), ("Precast", "plant"), ("Fabrication", "workshop"),
)  # fmt: skip
FORMS = ("Pty Ltd", "Pty Ltd", "Group Pty Ltd", "Services", "& Co", "Australia Pty Ltd")
TITLES = (
    "Operations Manager", "General Manager", "Managing Director", "Head of Operations", "Office Manager",
    "Commercial Manager", "Service Manager", "Project Director", "Workshop Manager", "Business Development Manager",
    "Director, Projects", "Founder", "Chief Operating Officer", "Scheduling Coordinator", "Branch Manager",
)  # fmt: skip
CITIES = (
    ("Sydney", "02"), ("Newcastle", "02"), ("Wollongong", "02"), ("Canberra", "02"), ("Melbourne", "03"),
    ("Geelong", "03"), ("Ballarat", "03"), ("Hobart", "03"), ("Brisbane", "07"), ("Gold Coast", "07"),
    ("Townsville", "07"), ("Cairns", "07"), ("Perth", "08"), ("Fremantle", "08"), ("Adelaide", "08"), ("Darwin", "08"),
)  # fmt: skip
# What was recorded when the address was taken down: where from, the page, the basis.
SOURCES = (
    ("Company website", "/contact", "conspicuous_publication", 0.52),
    ("Company website", "/our-team", "conspicuous_publication", 0.24),
    ("Trade fair, card handed over", "/contact", "consent", 0.12),
    ("Former customer", "/", "inferred", 0.12),
)
ROLES = ("info", "sales", "office", "admin", "enquiries", "accounts", "hello", "support")
FREE_MAIL = ("gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "bigpond.com", "icloud.com")
FORMULAS = (
    ("Company", "=cmd|' /C calc'!A0"),
    ("Job Title", '=HYPERLINK("http://example.invalid/","Director")'),
    ("Relevance", "@SUM(1+1)*cmd|' /C calc'!A0"),
)
REFUSED = ("duplicate", "bad_address", "role_address", "formula", "missing_legal_basis", "missing_source",
           "no_marketing_statement", "suppressed_address", "suppressed_domain")  # fmt: skip
# How many rows carry each fault; `same_company` and `free_mail` are allowed, and only worth knowing.
COUNTS = {
    "duplicate": 30, "bad_address": 30, "role_address": 24, "formula": 3, "missing_legal_basis": 24,
    "missing_source": 6, "no_marketing_statement": 6, "suppressed_address": 8, "suppressed_domain": 10,
    "free_mail": 22, "same_company": 44,
}  # fmt: skip
PLAIN = str.maketrans({
    "á": "a", "é": "e", "è": "e", "ë": "e", "í": "i", "ñ": "n", "ö": "o", "ü": "u", "ć": "c", "Ł": "l", "ł": "l",
    "'": "", " ": "",
})  # fmt: skip

Row = dict[str, str]


class List:
    """Makes rows in order, and never the same company or address twice unless asked to."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        words = [start + end for start in WORD_STARTS for end in WORD_ENDS]
        chance.shuffle(words)
        self._words: Iterator[str] = iter(words)
        self._more = 0
        self._people: set[tuple[str, str]] = set()

    def company(self) -> Row:
        """A company: name, site, city and telephone."""
        word = self._word()
        trade, place = self.chance.choice(TRADES)
        city, code = self.chance.choice(CITIES)
        name = f"{word} {trade} {self.chance.choice(FORMS)}"
        if self.chance.random() < 0.08:
            name = f"{word}, {trade} & Sons, {self.chance.choice(FORMS[:2])}"
        domain = f"{word.lower()}-zqx.{'com.au' if self.chance.random() < 0.8 else 'com'}"
        return {
            "Company": name,
            "Website": f"https://www.{domain}",
            "Phone": f"{code} 5550 {self.chance.randrange(10_000):04d}",
            "City": city,
            "Country": "AU",
            "domain": domain,
            "place": place,
        }

    def _word(self) -> str:
        found = next(self._words, None)
        if found is not None:
            return found
        self._more += 1
        return f"{self.chance.choice(WORD_STARTS)}{self.chance.choice(WORD_ENDS)}{self._more}"

    def person(self, company: Row) -> Row:
        """Somebody at a company, with a complete record of why they may be written to."""
        first, last = self._name(company["domain"])
        source, page, basis, _ = self.chance.choices(SOURCES, [weight for *_, weight in SOURCES])[0]
        title = self.chance.choice(TITLES)
        row = {name: company.get(name, "") for name in COLUMNS}
        taken = NEWEST - timedelta(days=self.chance.randrange(3, 150), minutes=self.chance.randrange(60 * 24))
        return row | {
            "Email Address": f"{self._local(first, last)}@{company['domain']}",
            "First Name": first,
            "Last Name": last,
            "Job Title": title,
            "Source": source,
            "Evidence URL": company["Website"] + page,
            "Captured At": taken.isoformat().replace("+00:00", "Z"),
            "Legal Basis": basis,
            "Relevance": f"{title}: plans the work of the {company['place']}",
            "No Marketing Statement": "no",
        }

    def _name(self, domain: str) -> tuple[str, str]:
        while True:
            first, last = self.chance.choice(FIRST_NAMES), self.chance.choice(LAST_NAMES)
            if (domain, first[0]) not in self._people:  # Two people of one company never share an address.
                self._people.add((domain, first[0]))
                return first, last

    def _local(self, first: str, last: str) -> str:
        given, family = plain(first), plain(last)
        forms = (f"{given}.{family}", f"{given}.{family}", f"{given[0]}.{family}", given, f"{given}{family[0]}")
        return self.chance.choice(forms)


def plain(name: str) -> str:
    """A name as it stands before the @."""
    text = name.translate(PLAIN).lower()
    if not text.isascii():
        raise ValueError(f"{name!r} has a letter that PLAIN does not know.")
    return text


def lead_rows() -> tuple[list[Row], dict[str, list[int]], list[Row]]:
    """The rows, the row numbers of each fault as a spreadsheet counts (the header is row 1), the suppressions."""
    maker = List(random.Random(SEED))  # noqa: S311 - invented people, not secrets
    tagged: list[tuple[str, Row]] = []
    suppressions = [*_suppressed(maker, tagged)]
    for fault, plant in PLANTS.items():
        tagged += [(fault, plant(maker, number)) for number in range(COUNTS[fault])]
    for _ in range(COUNTS["same_company"] // 2):
        company = maker.company()
        tagged += [("same_company", maker.person(company)), ("same_company", maker.person(company))]
    clean = ROWS - len(tagged) - COUNTS["duplicate"]
    tagged += [("", maker.person(maker.company())) for _ in range(clean)]
    maker.chance.shuffle(tagged)
    _put_duplicates(maker, tagged)
    faults: dict[str, list[int]] = {fault: [] for fault in COUNTS}
    for number, (fault, _) in enumerate(tagged, 2):
        if fault:
            faults[fault].append(number)
    return [row for _, row in tagged], faults, suppressions


def _suppressed(maker: List, tagged: list[tuple[str, Row]]) -> Iterator[Row]:
    reasons = ("unsubscribe", "unsubscribe", "hard_bounce", "complaint", "negative_reply", "manual")
    for number in range(COUNTS["suppressed_address"]):
        row = maker.person(maker.company())
        tagged.append(("suppressed_address", row))
        yield _suppression(row["Email Address"], reasons[number % len(reasons)], number)
    for number in range(COUNTS["suppressed_domain"] // 2):
        company = maker.company()
        tagged += [("suppressed_domain", maker.person(company)) for _ in range(2)]
        yield _suppression(company["domain"], "manual", number)


def _suppression(value: str, reason: str, number: int) -> Row:
    notes = {
        "unsubscribe": "asked by mail not to be written to again",
        "hard_bounce": "the mailbox does not exist",
        "complaint": "reported the last mail as spam",
        "negative_reply": "answered that there is no interest",
        "manual": "competitor" if number % 2 else "existing customer, looked after in person",
    }
    added = (NEWEST - timedelta(days=40 + 11 * number)).date().isoformat()
    kind = "address" if "@" in value else "domain"
    return {"Value": value, "Type": kind, "Reason": reason, "Added At": added, "Note": notes[reason]}


def _put_duplicates(maker: List, tagged: list[tuple[str, Row]]) -> None:
    """Repeats clean rows further down, written another way."""
    for number in range(COUNTS["duplicate"]):
        clean = [place for place, (fault, _) in enumerate(tagged) if not fault and place < len(tagged) - 20]
        place = maker.chance.choice(clean)
        row = dict(tagged[place][1])
        tagged[place] = ("repeated", tagged[place][1])
        local, domain = row["Email Address"].split("@")
        row["Email Address"] = (
            f"{local.title()}@{domain}",
            f"  {local}@{domain} ",
            f"{local}@{domain.upper()}",
            f"{local.upper()}@{domain}\u00a0",
            f"{local}@{domain}",
        )[number % 5]
        if number % 3 == 0:
            row["Company"] = row["Company"].upper()
        tagged.insert(maker.chance.randrange(place + 1, len(tagged) + 1), ("duplicate", row))
    for place, (fault, row) in enumerate(tagged):
        if fault == "repeated":
            tagged[place] = ("", row)


def _bad_address(maker: List, number: int) -> Row:
    row = maker.person(maker.company())
    local, domain = row["Email Address"].split("@")
    row["Email Address"] = (
        f"{local}.{domain}",
        f"{local}..{local[0]}@{domain}",
        f"{local} {local[-1]}@{domain}",
        f"{local}@{domain},",
        f"{local}@{domain.split('.')[0]}",
    )[number % 5]
    return row


def _role_address(maker: List, number: int) -> Row:
    row = maker.person(maker.company())
    row["Email Address"] = f"{ROLES[number % len(ROLES)]}@{row['Email Address'].split('@')[1]}"
    row["First Name"] = row["Last Name"] = ""
    return row


def _formula(maker: List, number: int) -> Row:
    column, text = FORMULAS[number]
    return maker.person(maker.company()) | {column: text}


def _missing_legal_basis(maker: List, number: int) -> Row:
    row = maker.person(maker.company())
    lost = (("Legal Basis",), ("Evidence URL", "Captured At"), ("Relevance",), ("Legal Basis", "Relevance"))
    return row | dict.fromkeys(lost[number % len(lost)], "")


def _missing_source(maker: List, number: int) -> Row:
    return maker.person(maker.company()) | {"Source": ""}


def _no_marketing(maker: List, number: int) -> Row:
    return maker.person(maker.company()) | {"No Marketing Statement": "yes"}


def _free_mail(maker: List, number: int) -> Row:
    row = maker.person(maker.company())
    local = f"invented.{plain(row['First Name'])}.{plain(row['Last Name'])}.zqx{number:02d}"
    return row | {"Email Address": f"{local}@{FREE_MAIL[number % len(FREE_MAIL)]}"}


PLANTS: dict[str, Callable[[List, int], Row]] = {
    "bad_address": _bad_address,
    "role_address": _role_address,
    "formula": _formula,
    "missing_legal_basis": _missing_legal_basis,
    "missing_source": _missing_source,
    "no_marketing_statement": _no_marketing,
    "free_mail": _free_mail,
}


def csv_bytes(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    """As a spreadsheet program saves it: a byte order mark, CRLF, quotes only where needed."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def files() -> dict[str, bytes]:
    """Every file this script writes, by name."""
    rows, faults, suppressions = lead_rows()
    refused = sum(len(faults[name]) for name in REFUSED)
    about = {
        "rows": len(rows),
        "first_data_row": 2,
        "refused_for_a_fault": refused,
        "without_a_fault": len(rows) - sum(len(numbers) for numbers in faults.values()),
        "faults": {name: {"count": len(numbers), "rows": numbers} for name, numbers in faults.items()},
    }
    listed = json.dumps(about, indent=1)
    for numbers in faults.values():  # One line for a list of numbers.
        listed = listed.replace(json.dumps(numbers, indent=1).replace("\n", "\n   "), json.dumps(numbers))
    return {
        "leads.csv": csv_bytes(rows, COLUMNS),
        "leads.faults.json": listed.encode() + b"\n",
        "suppressions.csv": csv_bytes(suppressions, tuple(suppressions[0])),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files, or with --check compares them."""
    parser = argparse.ArgumentParser(description="Writes the example leads.")
    parser.add_argument("--check", action="store_true", help="compare with the files there; write nothing")
    folder = Path(__file__).parent
    check = parser.parse_args(arguments).check
    different = [name for name, content in files().items() if not _same(folder / name, content)]
    if check:
        for name in different:
            sys.stderr.write(f"{name} is not what this script writes.\n")
        return 1 if different else 0
    for name, content in files().items():
        (folder / name).write_bytes(content)
    return 0


def _same(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


if __name__ == "__main__":
    sys.exit(main())
