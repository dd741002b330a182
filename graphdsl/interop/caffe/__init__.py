"""Nets of Caffe: prototxt and caffemodel."""

from graphdsl.interop.caffe.files import read

__all__ = ["read"]
