//! Tokens of OAUTHBEARER, which end: librdkafka makes the next one where its request for it is served.

use super::text;
use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};

/// The option without which [`renew`] has nothing to do.
pub const OWN_QUEUE: (&str, &str) = ("enable_sasl_queue", "true");

/// Has librdkafka renew the tokens that it makes by itself, on a thread of its own; of a client that does not log in
/// with tokens, nothing is changed. Without this a request for the next token waits in the queue of the client's
/// events, whoever reads it: rust-rdkafka's producers take it for one that the application answers.
///
/// # Errors
/// The system gave no thread.
pub fn renew<C: ClientContext>(client: &Client<C>) -> Result<(), String> {
    // SAFETY: the client is alive; a returned error is ours, and destroyed after its text was copied.
    unsafe {
        let error = rd::rd_kafka_sasl_background_callbacks_enable(client.native_ptr());
        if error.is_null() {
            return Ok(());
        }
        let (code, why) = (rd::rd_kafka_error_code(error), text(rd::rd_kafka_error_string(error)));
        rd::rd_kafka_error_destroy(error);
        // No mechanism that has tokens.
        if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__NOT_CONFIGURED { Ok(()) } else { Err(why) }
    }
}
