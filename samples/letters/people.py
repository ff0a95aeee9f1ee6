"""Who writes to whom."""

from compose import word

JANE = "Jane Lindqvist <jane@example.org>"
SECRETARY = "Jane Lindqvist (Swift Watch) <secretary@swifts.example.net>"
TOMAS = f"{word('Tomás Ferreira', 'iso-8859-1', 'Q')} <tomas@example.org>"
IDA = "Ida Lindqvist <ida@example.net>"
SOLVEIG = "Solveig Lindqvist <solveig@example.com>"
ELIAS = "Elias Lindqvist <elias@example.com>"
DUARTE = "Duarte Ferreira <duarte.ferreira@example.net>"

KARIN = f"{word('Karin Møller')} <karin.moller@example.net>"
SATO = f"{word('佐藤 遥', 'iso-2022-jp')} <haruka@wire.example.com>"
LEVAN = f"{word('Леван Беридзе', 'koi8-r')} <levan@example.net>"
LIN = f"{word('林怡君', 'big5')} <yichun@example.com>"
WANG = f"{word('王建国', 'gb18030')} <sales@pins.example.com>"
AMINA = f"{word('أمينة حداد')} <amina@example.org>"
NOAM = f"{word('נועם לוי', 'iso-8859-8-i')} <noam@choir.example.org>"
HAN = f"{word('한지민', 'euc-kr')} <jimin@example.com>"
MUSEUM = '"Museum of Sound, Registrar" <registrar@museum.example.org>'
BRANDT = f"{word('Jürgen Brandt, Steuerberater', 'windows-1252', 'Q')} <brandt@tax.example.com>"

MARGARET = "Margaret Oyelaran <margaret@example.org>"
HENRIK = "Henrik Aas <henrik.aas@example.net>"
PIOTR = f"{word('Piotr Zieliński', 'iso-8859-2', 'Q')} <piotr@example.com>"
WOLFGANG = f"{word('Wolfgang Grüber', 'utf-8', 'Q')} <wolfgang.grueber@example.org>"
PRIYA = '"Raman, Priya (Dr.)" <priya.raman@example.com>'
SWIFTS = "Swift Watch <swifts@lists.example.net>"
