"""Allure results: cases as allure-pytest writes them, completed with what only the whole run knows, gates and costs."""
