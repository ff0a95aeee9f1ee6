# ruff: noqa: RUF001 - letters in the scripts of their writers
"""Suppliers and colleagues abroad: wire, pins, quills, and the mail that comes with them."""

from __future__ import annotations

from compose import Letter, attachment, letter, multipart, text, word
from letters.people import AMINA, JANE, LEVAN, LIN, NOAM, SATO, WANG
from things import pdf

TRADE = "Workshop/Suppliers/取引先"
MUSIC = "موسيقى"


def letters() -> list[Letter]:
    return [*wire(), *others()]


def wire() -> list[Letter]:
    order = letter(
        "wire-1-order",
        JANE,
        SATO,
        word("Order: iron wire / 注文: 鉄線"),
        "2026-09-28T09:00:00+02:00",
        text(
            """
            佐藤様

            Dear Ms Sato,

            please send us two reels of the soft iron, 0.22 mm, and one of 0.25. The
            last reel was so good that Tomás hid it from me.

            今回もよろしくお願いいたします。

            Jane Lindqvist
            """,
            "utf-8",
            "base64",
        ),
        folder="Sent",
        flags=r"\Seen waiting-for-parts",
    )
    answer = letter(
        "wire-2-answer",
        SATO,
        JANE,
        word("Re: 注文: 鉄線について", "iso-2022-jp"),
        "2026-09-29T10:12:00+09:00",
        text(
            """
            リンドクヴィスト様

            いつもお世話になっております。佐藤です。

            鉄線0.22ミリを二巻、0.25ミリを一巻、確かに承りました。
            父がまだ古い機械で引いておりますので、三週間ほどお待ちください。
            父は「隠すほど良い」と聞いて、一日中笑っておりました。

            佐藤 遥
            """,
            "iso-2022-jp",
            "7bit",
        ),
        folder=TRADE,
        flags=r"\Seen \Answered",
        received="2026-09-29T10:12:08+09:00",
        reply=order,
    )
    shipped = letter(
        "wire-3-invoice",
        SATO,
        JANE,
        word("発送のお知らせと請求書", "iso-2022-jp"),
        "2026-10-21T18:40:00+09:00",
        multipart(
            "mixed",
            text(
                """
                本日発送いたしました。請求書を添付いたします。
                父が短い線を一本おまけに入れました。猫用ではないそうです。

                佐藤
                """,
                "iso-2022-jp",
                "7bit",
            ),
            attachment(
                pdf(
                    "Invoice 2026-0093",
                    "Iron wire 0.22 mm, 2 reels",
                    "Iron wire 0.25 mm, 1 reel",
                    "Not for cats, 1 piece, free",
                ),
                "application/pdf;\n name*0*=iso-2022-jp'ja'%1B$B%40A5a%3Dq%1B%28B;\n name*1*=-2026-0093.pdf",
                "attachment;\n filename*0*=iso-2022-jp'ja'%1B$B%40A5a%3Dq%1B%28B;\n filename*1*=-2026-0093;\n filename*2=.pdf",
            ),
        ),
        folder=TRADE,
        flags=r"\Seen \Flagged $MailFlagBit0 Steuer2026 $hasattachment",
        received="2026-10-21T18:40:37+09:00",
        reply=answer,
    )
    return [order, answer, shipped]


def others() -> list[Letter]:
    pins = letter(
        "pins-quote",
        WANG,
        JANE,
        word("调音钉报价单", "gb18030"),
        "2026-07-14T15:20:00+08:00",
        text(
            """
            Lindqvist 女士，您好！

            调音钉（4.6×45 毫米，发蓝）500 支，每支 0.62 欧元，六周交货。
            您上次寄来的样品有七种不同的锥度。我们的师傅说，这不是图纸，
            这是天气预报。请选一种。

            王建国
            """,
            "gb18030",
            "8bit",
        ),
        folder="Workshop/Suppliers",
        flags=r"\Seen \Answered waiting-for-parts",
        received="2026-07-14T15:20:19+08:00",
    )
    lin = letter(
        "yichun-workshop",
        LIN,
        JANE,
        word("我的第一台大鍵琴", "big5"),
        "2026-10-30T21:05:00+08:00",
        text(
            """
            親愛的老師：

            我的第一台大鍵琴完成了！音板是台灣雲杉，很輕，像一封信。
            琴鍵的黑白和您教的相反，因為客人說她的狗比較喜歡這樣。

            請您來台北聽一聽。我會準備茶，還有不會掉下來的椅子。

            怡君 敬上
            """,
            "big5",
            "base64",
        ),
        folder=TRADE,
        flags=r"\Flagged $MailFlagBit1",
        received="2026-10-30T21:05:44+08:00",
    )
    levan = letter(
        "levan-tbilisi",
        LEVAN,
        JANE,
        word("Рояль на балконе", "koi8-r"),
        "2026-05-05T23:15:00+04:00",
        text(
            """
            Дорогая Джейн!

            Вчера мне позвонили: настроить рояль. Приезжаю, а рояль стоит на балконе,
            третий этаж, дождь. Хозяйка говорит: "В комнате он мешает танцевать".
            Под крышкой живёт голубь. Голубь остался, ля настроил по нему.

            Пришли мне, пожалуйста, сто колков и доброе слово. За колки заплачу.

            Обнимаю,
            Леван
            """,
            "koi8-r",
            "8bit",
        ),
        folder=TRADE,
        flags=r"\Seen \Answered",
        received="2026-05-05T23:15:21+04:00",
    )
    amina = letter(
        "amina-qanun",
        AMINA,
        JANE,
        word("القانون وصل سالمًا"),
        "2026-03-11T19:00:00+02:00",
        text(
            """
            عزيزتي جين،

            وصل القانون إلى القاهرة سالمًا، ولم ينكسر منه شيء سوى صبر موظف الجمارك.
            سألني: كم وترًا فيه؟ قلت: ثمانية وسبعون. فعدّها كلها.

            الحفلة يوم الجمعة. سأعزف لحنًا لورشتك، وفيه صوت المبرد.

            مع كل الود،
            أمينة
            """,
            "utf-8",
            "base64",
        ),
        folder=MUSIC,
        flags=r"\Seen \Flagged $MailFlagBit0",
        received="2026-03-11T19:00:26+02:00",
    )
    noam = letter(
        "noam-choir",
        NOAM,
        JANE,
        word("המקהלה והמזלג", "iso-8859-8-i"),
        "2026-09-15T08:45:00+03:00",
        text(
            """
            ג'יין היקרה,

            את צודקת: לא האלט ירד, המזלג עלה. מישהו חימם אותו על הרדיאטור
            לפני החזרה. המקהלה מבקשת סליחה, הבסים פחות.

            נועם
            """,
            "iso-8859-8-i",
            "quoted-printable",
        ),
        folder=MUSIC,
        flags=r"\Seen",
        received="2026-09-15T08:45:39+03:00",
    )
    return [pins, lin, levan, amina, noam]
