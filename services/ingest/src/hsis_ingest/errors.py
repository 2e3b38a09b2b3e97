"""What can be wrong with uploaded files, and how each is told."""

from hsis.errors import DomainError, ProblemTable, ProblemType


class InputFault(DomainError):
    """The uploaded files cannot become a cube, however often it is tried."""


class UnknownFormat(InputFault):
    """No reader knows these bytes."""


class MissingHeader(InputFault):
    """A raw file came without the header that says how to read it."""


class MissingData(InputFault):
    """A header came without the data that it describes."""


class HeaderMismatch(InputFault):
    """A header contradicts itself or the data beside it."""


class TruncatedFile(InputFault):
    """A file ends before its own metadata says, or is damaged."""


class UnsupportedFormat(InputFault):
    """The format is known, but not this version, type or content of it."""


class VariableNeeded(InputFault):
    """The file holds several arrays, or one whose shape is not clear: the uploader must say."""


class DecompressionBomb(InputFault):
    """The file would take far more memory than its size or a setting allows."""


class ExternalReference(InputFault):
    """What is wanted lies in another file, to which this one only points."""


class NoValidData(InputFault):
    """Not one pixel of any band is valid."""


class UploadInterrupted(DomainError):
    """The client went away in the middle of a file."""


class TransferLocked(DomainError):
    """Another request is just sending to the transfer."""


class WrongVersion(DomainError):
    """The client speaks another version of tus."""


class WrongContentType(DomainError):
    """The bytes of a transfer have a type of their own."""


class ChecksumMismatch(DomainError):
    """The bytes are not those that the client took the checksum of."""


class LeaseLost(Exception):
    """Another worker has the job now: stop, and write nothing more."""


PROBLEMS: ProblemTable = {
    InputFault: ProblemType(422, "unreadable-input", "The files cannot become a cube"),
    UnknownFormat: ProblemType(422, "unknown-format", "Unknown format"),
    MissingHeader: ProblemType(422, "missing-header", "The header file is missing"),
    MissingData: ProblemType(422, "missing-data", "The data file is missing"),
    HeaderMismatch: ProblemType(422, "header-mismatch", "The header does not fit the data"),
    TruncatedFile: ProblemType(422, "truncated-file", "The file is truncated or damaged"),
    UnsupportedFormat: ProblemType(422, "unsupported-format", "Not supported"),
    VariableNeeded: ProblemType(422, "variable-needed", "It is not clear which array to store"),
    DecompressionBomb: ProblemType(422, "decompression-bomb", "Too large once decompressed"),
    ExternalReference: ProblemType(
        422, "external-reference", "The file points to another file, which is not read"
    ),
    NoValidData: ProblemType(422, "no-valid-data", "No valid pixel"),
    UploadInterrupted: ProblemType(400, "upload-interrupted", "The upload broke off"),
    TransferLocked: ProblemType(423, "transfer-locked", "Another request is sending"),
    WrongVersion: ProblemType(412, "wrong-tus-version", "This version of tus is not spoken"),
    WrongContentType: ProblemType(415, "wrong-content-type", "Not the type of a transfer's bytes"),
    ChecksumMismatch: ProblemType(460, "checksum-mismatch", "The checksum does not fit"),
}
