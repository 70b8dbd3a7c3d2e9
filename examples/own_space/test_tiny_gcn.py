from tiny_gcn import TinyGcn

from models.testing import SearchSpaceContract


class TestTinyGcn(SearchSpaceContract):
    space = TinyGcn()
