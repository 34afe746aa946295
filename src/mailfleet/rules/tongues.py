"""Which languages a short text may be in: told by its letters and its commonest words, never by a guess of one."""

from __future__ import annotations

import functools
import re

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
SCRIPTS = (
    ("cyr", re.compile(r"[\u0400-\u04ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("asian", re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")),
)
LATIN = re.compile(r"[a-zà-ɏ]")
FAMILY = {"cyr": ("cyr", "slavic"), "asian": ("asian", "ja"), "slavic": ("slavic",)}
"""Names of rows that a script or a family of languages brings with it."""
ALWAYS = frozenset({"en", "other", "multi"})
WORDS = {
    "en": """the and you your i we is are for with this that not have me my our please of to it be will can would do
        from was on no yes thanks thank if but what how""",
    "de": """und ich nicht wir sie ist das der die den dem ein eine einen kein keine keinen bitte für mit auf zu von
        bei uns mir mich mein meine ihr ihre ihnen ihrer danke hallo sind haben habe bin wie was ja nein aus dem im am
        vielen leider auch noch mehr nur gerne gern schon kann können wenn abmelden abbestellen austragen löschen""",
    "fr": """je vous nous ne pas les des est une un pour avec votre vos notre nos merci bonjour dans sur que qui mais
        suis avons sommes cette ce cela le la du au aux plus me moi mes désinscription désabonnement svp oui non
        avez êtes quel quels quelle en sans déjà bien""",
    "es": """no que de la el los las en por para con una un su sus mi me nos gracias hola es son estoy estamos tenemos
        favor más pero si sí como qué cuánto del al lo le les muy ya baja quiero correo correos usted ustedes""",
    "pt": """não que de o a os as em por para com uma um seu sua meu minha me nos obrigado obrigada olá é são estou
        estamos temos favor mais mas sim como do da dos das no na ao você vocês já quanto pode fale remover remova""",
    "it": """non che di il la i gli le un una per con mi ci vi si è sono siamo abbiamo grazie salve buongiorno ma più
        del della dal dalla al alla questo questa vostra vostro come quanto può potete stiamo ho hai cancellatemi
        cancellami cancellazione sì""",
    "nl": """ik niet wij we u uw jullie het een de van voor met op is zijn geen graag bedankt dank hallo hoi mij me
        ons onze aan dit dat maar wel naar bij meer kan kunt kun heb hebben wat hoe als ja nee uitschrijven afmelden
        hier""",
    "nordic": """jeg vi er ikke har med for til av af og det den de i på som kan en et å at mig meg os oss jer dere tak
        takk hej hei venligst vennligst jag är inte att ett för tack ni er mig oss min mitt vänligen från fra skulle
        vil vill skal ska nej nei ja gerne gärna gjerne avmeld afmeld avregistrera kontakta kontakt""",
    "fi": """en ei emme minun minut meidän on ja olen olemme tämä että se kiitos kiitokset hei voisitko voitko voimme
        mutta jos enää teidän mitä miten älä älkää poista poistakaa meille minulle paljonko kuulostaa sähköpostia
        lomalla kiinnosta kiinnostaa""",
    "slavic": """nie się jest w na do z że proszę dziękuję dzień dobry mnie nas jestem jesteśmy mamy tak ale czy jak to
        ile o za dzięki już pan pani ne se je v mě nás děkuji děkujeme dobrý den prosím máme nemáme jsem jsme ale jak
        ze za si ste som sme ďakujem nemám zájem wypisz usuń odhlásit urlopie dovolené""",
    "tr": """ve bir bu için ben biz beni bizi değil teşekkürler teşekkür lütfen merhaba var yok çok daha ile mı mi mu
        evet hayır olarak ne şu an listeden listenizden mail""",
    "hu": """és nem a az hogy van egy kérem köszönöm köszönjük üdvözlettel én mi ez is de már ne minket engem vagyok
        vagyunk leiratkozás""",
    "ro": """și nu de la pe cu în un o este sunt suntem avem mulțumesc mulțumim bună vă rog din pentru mă ne dar
        dezabonare interesează""",
}
KNOWN = {name: frozenset(words.split()) for name, words in WORDS.items()}
SHORT = 4
"""Words; so short a text may be in any language."""


@functools.lru_cache(maxsize=1024)
def spoken(text: str) -> frozenset[str]:
    """The languages to look for in `text`, English always: all of a script's when nothing tells them apart."""
    heard = set(ALWAYS)
    for name, letters in SCRIPTS:
        if letters.search(text):
            heard.update(FAMILY.get(name, (name,)))
    if LATIN.search(text):
        heard.update(_latin(WORD.findall(text)))
    return frozenset(heard)


def _latin(words: list[str]) -> set[str]:
    score = {name: sum(word in known for word in words) for name, known in KNOWN.items()}
    best = max(score.values())
    if not best or len(words) < SHORT:
        return {name for name, points in score.items() if points or not best}
    # A text in two languages ("English below") is heard in both.
    return {name for name, points in score.items() if points * 3 >= best and (points > 1 or points == best)}
