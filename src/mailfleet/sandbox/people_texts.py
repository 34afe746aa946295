"""What recipients write back, by intention and language, as their mail programs send it."""

from __future__ import annotations

from datetime import datetime, timedelta
from html import escape

from mailfleet.sandbox.people import Person
from mailfleet.sandbox.seeds import fraction
from mailfleet.sandbox.world import World

_TEXTS: dict[str, dict[str, tuple[str, ...]]] = {
    "positive": {
        "en": (
            "Hi {sender},\n\nThis is timely, we were talking about exactly this last week. Could you do a call "
            "Thursday at 2pm?",
            "Sounds interesting. Happy to have a chat, send me a couple of times next week.",
            "Yes, let's talk. My calendar is fairly open Tuesday and Wednesday morning.",
            "Hello {sender}, I'd be keen to see how this works. Please book a slot for a short demo.",
        ),
        "de": (
            "Guten Tag,\n\ndas klingt interessant. Können wir nächste Woche telefonieren? Dienstag um 10 passt mir.",
        ),
        "fr": ("Bonjour,\n\nCela m'intéresse. Pouvons-nous en parler jeudi prochain dans la matinée ?",),
        "es": ("Hola,\n\nMe interesa. ¿Podemos hablar la próxima semana? El martes me viene bien.",),
        "nl": ("Hallo,\n\nDit klinkt interessant. Kunnen we volgende week even bellen?",),
        "it": ("Buongiorno,\n\nmi interessa. Possiamo sentirci la prossima settimana, magari martedì?",),
    },
    "negative": {
        "en": (
            "Thanks for reaching out, but we are not interested.",
            "Hi {sender},\n\nWe already have a supplier for this and are happy with them. Not for us at the moment.",
            "No thanks. We don't have budget for this, this year or next.",
            "Appreciate the note but it's a pass from us.",
        ),
        "de": ("Vielen Dank, aber wir haben kein Interesse.",),
        "fr": ("Merci pour votre message, mais nous ne sommes pas intéressés.",),
        "es": ("Gracias, pero no estamos interesados.",),
        "nl": ("Bedankt voor uw bericht, maar wij hebben geen interesse.",),
        "it": ("Grazie, ma non siamo interessati.",),
    },
    "out_of_office": {
        "en": (
            "Thank you for your email. I am out of the office until {back} with limited access to email. I will reply "
            "when I return.",
            "Hi, I'm on annual leave and back on {back}. For anything urgent please call the main office.",
        ),
        "de": ("Vielen Dank für Ihre Nachricht. Ich bin bis zum {back} nicht im Büro und lese keine E-Mails.",),
        "fr": ("Bonjour, je suis absent du bureau jusqu'au {back}. Je vous répondrai à mon retour.",),
        "es": ("Gracias por su mensaje. Estoy fuera de la oficina hasta el {back}.",),
        "nl": ("Bedankt voor uw e-mail. Ik ben afwezig tot {back} en lees mijn e-mail niet.",),
        "it": ("Grazie per il messaggio. Sono fuori ufficio fino al {back}.",),
    },
    "unsubscribe": {
        "en": (
            "Please remove me from your list.",
            "Unsubscribe",
            "Stop emailing me. Take my address off whatever list this is.",
        ),
        "de": ("Bitte nehmen Sie mich aus Ihrem Verteiler und schreiben Sie mir nicht mehr.",),
        "fr": ("Merci de me retirer de votre liste de diffusion.",),
        "es": ("Por favor, elimíneme de su lista de correo.",),
        "nl": ("Gelieve mij van uw mailinglijst te verwijderen.",),
        "it": ("Vi prego di rimuovermi dalla vostra lista.",),
    },
    "wrong_person": {
        "en": (
            "I'm not the right person for this, you would need to speak with our head of operations, Priya.",
            "Hi, I don't handle this any more. Try Marcus in procurement.",
        ),
        "de": ("Dafür bin ich nicht zuständig. Bitte wenden Sie sich an unseren Einkauf.",),
        "fr": ("Je ne suis pas la bonne personne, veuillez contacter notre service achats.",),
        "es": ("No soy la persona adecuada, por favor contacte con nuestro departamento de compras.",),
        "nl": ("Ik ben hier niet de juiste persoon voor. Neem contact op met onze afdeling inkoop.",),
        "it": ("Non sono la persona giusta, contatti il nostro ufficio acquisti.",),
    },
    "info_request": {
        "en": (
            "Can you send me more information and pricing before we decide whether to talk?",
            "Hi {sender}, what does it cost, and does it work with Xero? Please send details.",
        ),
        "de": ("Können Sie mir bitte weitere Informationen und Preise schicken?",),
        "fr": ("Pouvez-vous m'envoyer plus d'informations et vos tarifs ?",),
        "es": ("¿Me puede enviar más información y precios?",),
        "nl": ("Kunt u mij meer informatie en prijzen sturen?",),
        "it": ("Può inviarmi maggiori informazioni e i prezzi?",),
    },
    "unknown": {
        "en": ("?", "ok", "Your request has been received and given ticket number 48213. Please do not reply."),
        "de": ("ok",),
        "fr": ("ok",),
        "es": ("ok",),
        "nl": ("ok",),
        "it": ("ok",),
    },
}
_SUBJECTS = {
    "en": "Automatic reply: {subject}",
    "de": "Automatische Antwort: {subject}",
    "fr": "Réponse automatique : {subject}",
    "es": "Respuesta automática: {subject}",
    "nl": "Automatisch antwoord: {subject}",
    "it": "Risposta automatica: {subject}",
}
_ANSWER = {"de": "AW: ", "nl": "Antw: ", "it": "R: "}
_QUOTED = {
    "en": "On {date}, {sender} <{address}> wrote:",
    "de": "Am {date} schrieb {sender} <{address}>:",
    "fr": "Le {date}, {sender} <{address}> a écrit :",
    "es": "El {date}, {sender} <{address}> escribió:",
    "nl": "Op {date} schreef {sender} <{address}>:",
    "it": "Il giorno {date} {sender} <{address}> ha scritto:",
}
_OUTLOOK = "From: {sender} <{address}>\nSent: {date}\nTo: {to}\nSubject: {subject}\n"
_SIGNATURES = (
    "",
    "\n\n{name}",
    "\n\nKind regards,\n{name}\nT +61 2 5550 0{digits}",
    "\n\nSent from my iPhone",
    "\n\n-- \n{name}",
)
_DATES = {
    "en": "%A, %d %B %Y",
    "de": "%d.%m.%Y",
    "fr": "%d/%m/%Y",
    "es": "%d/%m/%Y",
    "nl": "%d-%m-%Y",
    "it": "%d/%m/%Y",
}


def away_days(world: World, who: Person) -> int:
    """How long somebody is out of the office, from their automatic answer on."""
    return 2 + int(6 * fraction(world, "away", who.address))


def reply_text(world: World, who: Person, kind: str, *, sender: str, name: str, now: datetime) -> str:
    """The part somebody writes themselves, with their signature, without the quoted original."""
    choices = _TEXTS[kind].get(who.language) or _TEXTS[kind]["en"]
    text = choices[int(fraction(world, "words", who.address) * len(choices))]
    back = (now + timedelta(days=away_days(world, who))).strftime(_DATES[who.language])
    text = text.format(sender=sender.partition(" ")[0], back=back)
    signature = _SIGNATURES[int(fraction(world, "signature", who.address) * len(_SIGNATURES))]
    digits = f"{int(1000 * fraction(world, 'phone', who.address)):03d}"
    return text + signature.format(name=name or who.address.partition("@")[0].title(), digits=digits)


def reply_subject(who: Person, kind: str, subject: str) -> str:
    """The subject a mail program gives the answer."""
    if kind == "out_of_office":
        return _SUBJECTS[who.language].format(subject=subject)
    return _ANSWER.get(who.language, "Re: ") + subject


def with_original(
    who: Person, text: str, *, sender: str, address: str, at: datetime, subject: str, original: str
) -> str:
    """The answer followed by the original, quoted the way the recipient's mail program does it."""
    date = at.strftime("%a, %d %b %Y at %H:%M")
    if who.provider == "microsoft":
        head = _OUTLOOK.format(sender=sender, address=address, date=date, to=who.address, subject=subject)
        return f"{text}\n\n________________________________\n{head}\n{original}"
    lines = "\n".join(f"> {line}" for line in original.splitlines())
    head = _QUOTED[who.language].format(date=date, sender=sender, address=address)
    return f"{text}\n\n{head}\n\n{lines}"


def as_html(text: str) -> str:
    """The text as a mail program's HTML."""
    return "<div>" + escape(text, quote=False).replace("\n", "<br>") + "</div>"
