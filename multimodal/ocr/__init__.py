"""Text in pictures and scanned pages, by Tesseract."""
