"""What an export of the Forge stack holds, and what the vendor's interfaces do not give."""

from __future__ import annotations

from mailfleet.platforms.archive import Dataset

_CONTACT = (
    "id",
    "email",
    "firstName",
    "lastName",
    "company",
    "position",
    "linkedinUrl",
    "tags",
    "customVars",
    "sequences",
)
_COUNTS = ("leadCount", "contactedCount", "openedCount", "clickedCount", "repliedCount", "repliedPositiveCount",
           "bouncedCount", "completedCount", "optOutedCount")  # fmt: skip
SALESFORGE = (
    Dataset(
        name="salesforge/campaigns", requirement="salesforge.campaigns",
        columns=("workspaceId", "id", "name", "status", "productId", *_COUNTS, "openTrackingEnabled",
                 "clickTrackingEnabled", "mailboxes"),
    ),
    Dataset(
        name="salesforge/sequences", requirement="salesforge.sequences", key=("sequenceId", "stepId", "variantId"),
        columns=("workspaceId", "sequenceId", "stepId", "stepOrder", "stepName", "waitDays", "distributionStrategy",
                 "variantId", "variantOrder", "label", "status", "distributionWeight", "emailSubject", "emailContent"),
    ),
    Dataset(
        name="salesforge/multichannel", requirement="salesforge.campaigns",
        columns=("workspaceId", "id", "name", "status", "schedule", "settings"),
    ),
    Dataset(
        name="salesforge/analytics", requirement="salesforge.analytics", key=("sequenceId", "day"),
        columns=("workspaceId", "sequenceId", "day", "sent", "replied", "totalOpened", "uniqueOpened", "totalClicked",
                 "uniqueClicked"),
    ),
    Dataset(
        name="salesforge/totals", requirement="salesforge.analytics", key=("sequenceId",),
        columns=("workspaceId", "sequenceId", "contacted", "opened", "clicked", "replied", "repliedPositive",
                 "bounced"),
    ),
    Dataset(name="salesforge/leads", requirement="salesforge.leads", columns=("workspaceId", *_CONTACT)),
    Dataset(
        name="salesforge/memberships", requirement="salesforge.leads", key=("sequenceId", "contactId"),
        columns=("workspaceId", "sequenceId", "contactId", "status"),
    ),
    Dataset(
        name="salesforge/engagement", requirement="salesforge.leads",
        key=("sequenceId", "contactId", "scheduled", "sent"),
        columns=("workspaceId", "sequenceId", "contactId", "email", "scheduled", "sent", "opened", "clicked"),
    ),
    Dataset(
        name="salesforge/replies", requirement="salesforge.leads",
        columns=("workspaceId", "id", "mailboxId", "contactEmail", "subject", "content", "date", "replyType",
                 "isPositive", "labelId"),
    ),
    Dataset(
        name="salesforge/suppressions", requirement="salesforge.leads", key=("workspaceId", "value"),
        columns=("workspaceId", "value", "type", "createdAt"),
    ),
    Dataset(
        name="salesforge/mailboxes", requirement="salesforge.campaigns",
        columns=("workspaceId", "id", "address", "firstName", "lastName", "status", "disconnectReason",
                 "mailboxProvider", "dailyEmailLimit", "signature", "trackingDomain"),
    ),
)  # fmt: skip
WARMFORGE = (
    Dataset(
        name="warmforge/mailboxes", requirement="warmforge.mailbox_status",
        columns=("workspaceID", "id", "address", "status", "warm", "warmupEnabled", "warmupDaysCompleted",
                 "warmupDaysLeft", "minEmailsPerDay", "maxEmailsPerDay", "emailRampUp", "replyRatePercent",
                 "healthReport"),
    ),
    Dataset(
        name="warmforge/warmup", requirement="warmforge.reputation_history", key=("address", "date"),
        columns=("address", "date", "sentCount", "replyCount", "spamCount", "providerStats"),
    ),
    Dataset(
        name="warmforge/placements", requirement="warmforge.reputation_history",
        columns=("id", "name", "date", "mailboxCount", "emailSent", "result", "inboxCountGmail", "spamCountGmail",
                 "inboxCountOutlook", "spamCountOutlook", "pendingCount", "missingCount", "tests"),
    ),
    Dataset(
        name="warmforge/history", requirement="warmforge.reputation_history", key=("kind", "ref", "day"),
        columns=("kind", "ref", "day", "sample"),
    ),
)  # fmt: skip
INFRAFORGE = (
    Dataset(
        name="infraforge/domains", requirement="infraforge.domains",
        columns=("id", "sld", "tld", "status", "workspaceId", "autoRenewStatus", "expiresAt", "nameservers", "records"),
    ),
    Dataset(
        name="infraforge/mailboxes", requirement="infraforge.mailboxes", secret=("credentials",),
        columns=("id", "email", "firstName", "lastName", "domain", "status", "workspaceId", "forwardingEmail",
                 "signature", "createdAt", "credentials"),
    ),
)  # fmt: skip
IGNORED = (
    "not to be found: this interface ignores the filter, and shows no membership. Who was written to is in "
    "salesforge/engagement; the rest only the vendor's app knows"
)
NOT_GIVEN = {
    "schedule, time zone, language and most settings of a sequence": "written but never read (forge 4): supply them in "
    "the mapping's review file",
    "the step a lead has reached, and when its next mail is due": "not in any answer: known from the day of connection",
    "replies and bounces of a lead with their times": "only as threads; exact from our own webhooks since connection",
    "results of single steps and variants": "sequence totals only",
    "bodies of mails that nobody answered": "not listed; templates and merge fields are here",
    "heat scores of the past": "the vendor keeps none: sampled daily since the day of connection (warmforge/history)",
    "passwords of Google and Microsoft mailboxes": "they are connected by consent: the owner consents again",
}
