//! What a value found in a body means: the words that all dialects have in common.

/// A meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    // Of a request to a model.
    /// The model that is asked for.
    Model,
    /// Whether a stream is asked for.
    Stream,
    /// What only a request of this dialect has.
    Asked,

    // Of an answer.
    /// The model that answers.
    ResponseModel,
    /// What sort of event or document this is.
    Kind,
    /// What sort of part this event is about.
    PartKind,
    /// What only an answer of this dialect has.
    Answered,
    /// Content that is written for the one who asked, or a tool's arguments.
    Content,
    /// Tokens read, as the provider counts.
    Input,
    /// Tokens written, as the provider counts.
    Output,
    /// Tokens read from a cache.
    CacheRead,
    /// Tokens written into a cache.
    CacheWrite,
    /// Tokens of reasoning.
    Reasoning,
    /// Tokens read of what tools gave, where they are counted apart.
    ToolInput,
    /// All tokens together.
    Total,
    /// Why the model stopped.
    Finish,
    /// A tool that it asks to call.
    Tool,
    /// A tool that it asks to call, in an event that says so again.
    ToolAgain,
    /// The class of an error.
    ErrorType,
    /// The class of an error, if nothing better is told.
    ErrorCode,
    /// There was an error.
    Failed,
    /// A document within this one, as base64.
    Nested,
    /// What only this sort of server says.
    Hint(Server),
    /// What is said, where that is gathered.
    Said(Speech),

    // Of JSON-RPC.
    /// It is JSON-RPC.
    Rpc,
    /// The request's id.
    Id,
    /// The method.
    Method,
    /// The tool that is to be called.
    ToolName,
    /// There is a result.
    Result,
    /// The server's own name.
    ServerName,
    /// Whether the tool failed.
    IsError,
    /// The error's code.
    RpcError,
    /// The id of a request that is given up.
    Cancels,
}

/// What a text is, or to what it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speech {
    /// A message, or a part of an answer, begins: what follows is its own.
    Item,
    /// An answer of several begins: what follows is its own, and goes on where its number's left off.
    Choice,
    /// The number of an answer, or of a part of one.
    Index,
    /// Who says it.
    Role,
    /// What a model is told before all else.
    System,
    /// What it is asked.
    Prompt,
    /// What a tool gave, told to the model.
    ToolResult,
    /// What it answers.
    Answer,
    /// What it thinks.
    Reasoning,
    /// A piece of any of them: the event says of which.
    Delta,
    /// The call of a tool begins: what follows is its own.
    Call,
    /// The number of the call.
    CallIndex,
    /// The tool's name.
    Tool,
    /// A piece of the tool's arguments.
    Arguments,
    /// All of its arguments.
    WholeArguments,
}

/// Servers for models of one's own that are known by what they answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// llama.cpp's server.
    LlamaCpp,
    /// Ollama.
    Ollama,
}
