-- Addresses of one mailbox: tags where the provider drops them, dots where it reads over them (`dedup.one_mailbox`).
-- support.google.com/mail/answer/7436150; learn.microsoft.com: plus addressing; proton.me and fastmail.help say the same.
create function mailfleet.mailbox_of(email text) returns text
language sql immutable parallel safe as
$$ select case
       when split_part(email, '@', 2) in ('gmail.com', 'googlemail.com')
           then replace(split_part(split_part(email, '@', 1), '+', 1), '.', '') || '@gmail.com'
       when split_part(email, '@', 2) in ('outlook.com', 'hotmail.com', 'live.com', 'msn.com', 'icloud.com', 'me.com',
                                          'mac.com', 'proton.me', 'protonmail.com', 'pm.me', 'fastmail.com')
           then split_part(split_part(email, '@', 1), '+', 1) || '@' || split_part(email, '@', 2)
       else email end $$;
create index leads_mailbox on mailfleet.leads (mailfleet.mailbox_of(email_norm) collate "C") where free_mail;
create index suppressions_mailbox on mailfleet.suppressions (mailfleet.mailbox_of(key) collate "C")
    where scope = 'address' and mailfleet.mailbox_of(key) <> key;
