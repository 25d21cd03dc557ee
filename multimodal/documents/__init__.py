"""Documents: text out of PDF, office files, web pages, mails, tables and archives of those."""
