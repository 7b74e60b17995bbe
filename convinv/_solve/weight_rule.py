"""The weight of a penalty chosen from the data."""


def choose_weight(rule, form, request):
    raise NotImplementedError
