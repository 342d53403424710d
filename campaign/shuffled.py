"""A plugin of pytest (`-p campaign.shuffled`): the tests in an order drawn from the seed $CAMPAIGN_ORDER."""

import os
import random


def pytest_collection_modifyitems(items):
    """Shuffle the tests."""
    random.Random(os.environ["CAMPAIGN_ORDER"]).shuffle(items)
